"""From a stored value back to the instructions that made it and the memory words that it was made of."""
