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
REFUSALS = {
    **dict.fromkeys(("silu", "sigmoid", "hardsigmoid", "hardswish", "gelu", "leaky_relu", "elu"), _ACTIVATION),
    **dict.fromkeys(("prelu", "tanh", "mish", "softplus", "selu", "celu"), _ACTIVATION),
    **dict.fromkeys(("group_norm", "layer_norm", "instance_norm", "native_batch_norm_legit"), _NORM),
    **dict.fromkeys(("softmax", "log_softmax"), ("it is no integer operator", "apply it to the network's outputs")),
    **dict.fromkeys(("split", "chunk", "split_with_sizes", "slice", "channel_shuffle", "permute"), _CHANNELS),
    **dict.fromkeys(("transpose", "pixel_shuffle", "pixel_unshuffle", "index", "select"), _CHANNELS),
    **dict.fromkeys(("conv_transpose2d", "upsample_nearest2d", "upsample_bilinear2d"), _LARGER),
    **dict.fromkeys(("matmul", "bmm", "scaled_dot_product_attention"), _PRODUCT),
}
