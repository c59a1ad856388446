"""The COMPUTE engine: sequencing, activation memories, drain, requantization, pooling."""
