"""A geometry whose simulator several tests share, and how the outputs of a batch are compared with the executor's."""

import numpy as np

from intramix.hdl.geometry import Geometry
from intramix.quant.graph.executor import execute
from intramix.sim.conditions import DdrConditions

SMALL = Geometry(
    word_channels=8, pixel_lanes=2, fixed8_lanes=1, fixed4_lanes=3, lut_lanes=4, activation_depth=1024,
    residual_depth=512, output_depth=512, weight_depth=256, weights_bus_bits=32, maps_bus_bits=32,
    maps_ports=2, depthwise_channels=4,
)  # fmt: skip
FAST = DdrConditions(peak_bytes_per_second=1e12, latency_cycles=4, response_cycles=4)


def check_outputs(graph, images, result):
    """Every code of every output of every image."""
    assert result.images == len(images)
    for index, image in enumerate(images):
        expected = execute(graph, image)
        for name in graph.outputs:
            np.testing.assert_array_equal(result.codes[name][index], expected[name])
