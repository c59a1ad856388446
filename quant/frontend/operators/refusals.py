"""Why operators that the accelerator lacks are refused, and what would work instead: by their plain names."""

OTHERS = (
    "the accelerator has no such operator",
    "use convolution, batch norm, ReLU, ReLU6, add, concatenation or pools instead",
)
_ACTIVATION = ("the only activations are ReLU and ReLU6", "replace it by nn.ReLU or nn.ReLU6 and fine-tune")
_NORM = ("it normalises by statistics of the image itself", "use BatchNorm2d with running statistics")
_LARGER = ("maps cannot be enlarged", "enlarge the image before the network, or its outputs after it")
_PRODUCT = ("maps cannot be multiplied with one another", "use convolutions or linear layers of constant weights")
_CHANNELS = ("maps cannot be cut or shuffled along channels", "use a 1×1 convolution for each part instead")
_LAYOUT = (
    "maps are channels × rows × columns everywhere",
    "leave the order of dimensions as it is, and give layers images N × C × H × W",
)
LAST = ("softmax", "log_softmax", "sigmoid")
"""What follows a network's last layer to make probabilities of scores."""
AT_THE_END = (
    "it makes probabilities of scores, in real numbers",
    "let the model return the scores, and apply it to the network's outputs on the host (the best class is the same)",
)
REFUSALS = {
    **dict.fromkeys(("silu", "sigmoid", "hardsigmoid", "hardswish", "gelu", "leaky_relu", "elu"), _ACTIVATION),
    **dict.fromkeys(("prelu", "tanh", "mish", "softplus", "selu", "celu"), _ACTIVATION),
    **dict.fromkeys(("group_norm", "layer_norm", "instance_norm", "native_batch_norm_legit"), _NORM),
    **dict.fromkeys(("softmax", "log_softmax"), ("it is no integer operator", "apply it to the network's outputs")),
    **dict.fromkeys(("split", "chunk", "split_with_sizes", "channel_shuffle"), _CHANNELS),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle", "index"), _CHANNELS),
    **dict.fromkeys(("permute", "transpose", "t", "movedim"), _LAYOUT),
    **dict.fromkeys(("conv_transpose2d", "upsample_nearest2d", "upsample_bilinear2d"), _LARGER),
    **dict.fromkeys(("matmul", "bmm", "scaled_dot_product_attention"), _PRODUCT),
}
