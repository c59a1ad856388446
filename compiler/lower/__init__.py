"""Layers of the integer graph as the machine has them."""
