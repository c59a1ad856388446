"""What is wrong with a model."""


class ModelError(ValueError):
    """A model that cannot be found or built; the message names it, the reason and a remedy."""


class WeightsError(ModelError):
    """Weights that cannot be read, or are another model's; the message names the file, the keys and a remedy."""
