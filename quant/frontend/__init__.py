"""From a PyTorch model to a folded graph of the operators that the machine has."""
