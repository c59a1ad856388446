"""The quantized network: fake quantization, refinement, and its export to the integer graph."""
