"""Quantization: from an ordinary PyTorch model to the integer graph."""
