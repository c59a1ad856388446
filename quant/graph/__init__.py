"""The integer graph: the contract between quantizer, compiler and hardware."""
