"""The error of the HLS side."""


class HlsError(ValueError):
    """A network, a build or a machine that the HLS kernels cannot serve; the message says what, why and what would."""
