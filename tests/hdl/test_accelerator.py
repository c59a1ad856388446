"""The top level: its ports, and programs on the RTL against the interpreter and plain integer arithmetic."""

import re
import zlib

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.hdl.accelerator import TOP, accelerator_verilog
from intramix.hdl.encoding import encode_weights, pack_weight_words
from intramix.hdl.geometry import Dsp, Geometry, LaneClass
from intramix.hdl.instructions import Store
from intramix.hdl.isa import CONSTANT_LAYOUT, Opcode, Region, Token, pack
from intramix.quant.graph.random_graph import FormatMix, random_graph
from tests.support.accelerator_bench import Bench
from tests.support.raw_instructions import encode

pytestmark = pytest.mark.slow

READ = {"araddr": "A", "arlen": 8, "arsize": 3, "arburst": 2, "arcache": 4, "arprot": 3, "arvalid": 1, "rready": 1}
READ_ANSWER = {"arready": 1, "rdata": "D", "rresp": 2, "rlast": 1, "rvalid": 1}
WRITE = {"awaddr": "A", "awlen": 8, "awsize": 3, "awburst": 2, "awcache": 4, "awprot": 3, "awvalid": 1,
         "wdata": "D", "wstrb": "S", "wlast": 1, "wvalid": 1, "bready": 1}  # fmt: skip
WRITE_ANSWER = {"awready": 1, "wready": 1, "bresp": 2, "bvalid": 1}
LITE_IN = {"awaddr": 8, "awprot": 3, "awvalid": 1, "wdata": 32, "wstrb": 4, "wvalid": 1, "bready": 1,
           "araddr": 8, "arprot": 3, "arvalid": 1, "rready": 1}  # fmt: skip
LITE_OUT = {"awready": 1, "wready": 1, "bresp": 2, "bvalid": 1, "arready": 1, "rdata": 32, "rresp": 2, "rvalid": 1}

SMALL = {
    "word_channels": 4, "pixel_lanes": 2, "fixed8_lanes": 1, "fixed4_lanes": 5, "lut_lanes": 2, "activation_bits": 4,
    "activation_depth": 256, "residual_depth": 64, "output_depth": 64, "weight_depth": 64, "constant_tiles": 4,
}  # fmt: skip
GEOMETRIES = {
    "small": Geometry(**SMALL),
    "two weight ports": Geometry(**SMALL | {"weight_ports": 2, "weights_bus_bits": 32, "maps_bus_bits": 128}),
    "two maps ports": Geometry(**SMALL | {"maps_ports": 2, "maps_bus_bits": 32}),
    "one lane": Geometry(**SMALL | {"pixel_lanes": 1, "fixed4_lanes": 1, "address_bits": 40, "maximum_burst": 4}),
    "sp2, A5": Geometry(
        **SMALL
        | {"word_channels": 8, "activation_bits": 5, "fixed4_lanes": 3, "lut_lanes": 4, "lut_scheme": LaneClass.LUT_SP2}
        | {"dsp": Dsp.DSP48E2, "accumulator_bits": 24, "maps_bus_bits": 32}
    ),
    "fixed3, A6": Geometry(
        **SMALL | {"activation_bits": 6, "fixed4_lanes": 1, "lut_lanes": 6, "lut_scheme": LaneClass.LUT_FIXED3}
    ),
    "map memory": Geometry(**SMALL | {"map_words": 100, "depthwise_channels": 4}),
    "map memory, two maps ports": Geometry(**SMALL | {"map_words": 120, "maps_ports": 2, "maps_bus_bits": 32}),
}


def documented_ports(geometry):
    """Names, directions and widths by docs/architecture.md and AXI4."""
    ports = {"clk": ("input", 1), "rst": ("input", 1), "interrupt": ("output", 1)}

    def add(name, direction, members, bits=0):
        widths = {"A": geometry.address_bits, "D": bits, "S": bits // 8}
        for member, width in members.items():
            ports[f"{name}__{member}"] = (direction, widths.get(width, width))

    masters = {"m_axi_instructions": 64, "m_axi_maps": geometry.maps_bus_bits}
    masters |= {f"m_axi_maps_{port}": geometry.maps_bus_bits for port in range(1, geometry.maps_ports)}
    masters |= {f"m_axi_weights_{port}": geometry.weights_bus_bits for port in range(geometry.weight_ports)}
    for name, bits in masters.items():
        add(name, "output", READ, bits)
        add(name, "input", READ_ANSWER, bits)
    for name in ("m_axi_maps", "m_axi_maps_1")[: geometry.maps_ports]:
        add(name, "output", WRITE, geometry.maps_bus_bits)
        add(name, "input", WRITE_ANSWER, geometry.maps_bus_bits)
    add("s_axi", "input", LITE_IN)
    add("s_axi", "output", LITE_OUT)
    return ports


@pytest.mark.parametrize("name", ["two weight ports", "two maps ports", "one lane"])
def test_verilog_has_the_documented_ports(name):
    geometry = GEOMETRIES[name]
    text = accelerator_verilog(geometry)
    (body,) = re.findall(rf"^module {TOP}\((.*?)^endmodule", text, re.MULTILINE | re.DOTALL)
    ports = {
        port: (direction, int(high or 0) + 1)
        for direction, high, port in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
    }
    assert ports == documented_ports(geometry)
    assert not re.search(r"\\\S*\[", text), "names with brackets kill yosys' abc9"


def test_not_a_geometry():
    with pytest.raises(TypeError, match="geometry must be a Geometry, not 'pynq-z2'"):
        accelerator_verilog("pynq-z2")


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_a_program_written_by_hand(stall):
    """A 1×1 convolution of a 4 × 3 map, two rows a pixel lane, against integers; CRC-32 of both lanes by zlib."""
    geometry = GEOMETRIES["small"]
    dice = np.random.default_rng(int(10 * stall))
    codes = dice.integers(0, 16, (4, 3, 4))  # row, column, channel
    weights = dice.integers(-7, 8, (8, 4))
    multiplier, bias, shift = dice.integers(1, 40, 8), dice.integers(-500, 2000, 8), 6
    sums = codes @ weights.T
    outputs = np.clip((sums * multiplier + bias) >> shift, 0, 15)
    assert len(np.unique(outputs)) > 8

    stored = np.zeros((1, 8, 4), np.uint8)
    for lane, kind in enumerate(geometry.lanes):
        stored[0, lane] = encode_weights(kind, weights[lane])
    constants = [
        pack(CONSTANT_LAYOUT, {
            "multiplier": int(multiplier[lane]),
            "bias": int(bias[lane]),
            "offset": {LaneClass.FIXED8: 2}.get(kind, 1),
        }).to_bytes(8, "little")
        for lane, kind in enumerate(geometry.lanes)
    ]  # fmt: skip
    rows = geometry.drain_cycles
    constants = b"".join(constants[unit * rows + row] for row in range(rows) for unit in range(geometry.post_units))

    def nibbles(words):
        flat = np.asarray(words, np.uint8).reshape(-1, 2)
        return (flat[:, 0] | flat[:, 1] << 4).tobytes()

    parameters = pack_weight_words(geometry, stored).tobytes().ljust(64, b"\0") + constants
    image = nibbles(codes)
    words = outputs.reshape(4, 3, 2, 4)  # row, column, output word, channel
    planes = [nibbles(words[:, :, plane]) for plane in range(2)]
    in_order = [planes[plane][12 * lane : 12 * lane + 12] for lane in range(2) for plane in range(2)]
    record = zlib.crc32(b"".join(in_order)).to_bytes(4, "little") + (9).to_bytes(4, "little")
    log = record + (24).to_bytes(4, "little") + bytes(4)
    store = {"region": Region.OUTPUT, "planes": 2, "plane_stride": 31, "chunks": 1, "chunk_words": 6, "plane_pitch": 6}
    instructions = b"".join([
        encode(Opcode.LOAD_CONSTANTS, region=Region.PARAMETERS, address=64, tiles=1),
        encode(Opcode.LOAD_WEIGHTS, region=Region.PARAMETERS, words=1),
        encode(Opcode.LOAD_MAP, region=Region.INPUT, address=3, planes=1, chunks=1, chunk_words=12, row_words=3,
               lane_step=2, lane_rows=2, lane_mask=3, base=50, signal=1 << Token.INPUT_READY),
        encode(Opcode.COMPUTE, outputs_y=2, outputs_x=3, passes=1, kernel_y=1, kernel_x=1, channels=1, base=50,
               delta_x=1, delta_y=1, stride_x=1, width=3, count_mask=1, final_mask=1, weight_words=1, release=1,
               release_constants=1, shift=shift, maximum=15, output_pitch=6, wait=1 << Token.INPUT_READY,
               signal=1 << Token.OUTPUT_READY),
        encode(Opcode.STORE, layer=9, lane=0, crc_start=1, wait=1 << Token.OUTPUT_READY, **store),
        encode(Opcode.STORE, layer=9, lane=1, address=12, crc_emit=1, **store),
        encode(Opcode.FINISH),
    ])  # fmt: skip
    contents = {"PARAMETERS": parameters, "INPUT": b"abc" + image, "OUTPUT": b"x" * 64, "LOG": bytes(16)}
    expected = contents | {"OUTPUT": planes[0] + b"x" * 7 + planes[1] + b"x" * 9, "LOG": log}
    bench = Bench(geometry, instructions, contents, expected, stall=stall)

    async def testbench(ctx):
        await bench.run_to_end(ctx)
        counters = {name: await bench.read(ctx, name) for name in ("COMPUTE_STEPS", "READ_BYTES", "WRITE_BYTES")}
        assert counters["COMPUTE_STEPS"] == 6
        assert counters["WRITE_BYTES"] == 4 * 12 + 16
        assert counters["READ_BYTES"] == 7 * 64 + 64 + geometry.weight_word_bits // 8 + 32

    bench.simulate(testbench)


@pytest.mark.parametrize(
    ("name", "kinds", "stall"),
    [
        ("small", ("pointwise",), 0.0),
        ("small", ("max_pool", "convolution3"), 0.3),
        ("two weight ports", ("depthwise",), 0.1),
        ("one lane", ("stem",), 0.5),
        ("sp2, A5", ("residual",), 0.0),
        ("fixed3, A6", ("convolution3",), 0.2),
    ],
)
def test_compiled_networks(name, kinds, stall):
    """Every byte that a network leaves in memory, maps of all layers, against the interpreter."""
    run_network(name, kinds, stall, seed=1)


@pytest.mark.parametrize("keep_maps", [True, False])
@pytest.mark.parametrize(
    ("name", "kinds", "stall"),
    [
        ("map memory", ("convolution3", "residual", "inverted"), 0.0),
        ("map memory, two maps ports", ("convolution3", "residual", "stride2"), 0.3),
    ],
)
def test_maps_on_chip(name, kinds, stall, keep_maps):
    """Likewise with maps that are kept on the chip, in DDR too or there alone."""
    program = run_network(name, kinds, stall, seed=3, blocks=3, keep_maps=keep_maps)
    stores = [instruction for instruction in program.decoded() if isinstance(instruction, Store)]
    kept = [store for store in stores if store.on_chip]
    assert kept
    assert len(kept) < len(stores)
    assert all(store.chip_only is not keep_maps for store in kept)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("kinds", [("residual",), ("stem", "average_pool", "linear"), ("inverted", "add", "stride2")])
def test_more_networks(name, kinds, seed):
    run_network(name, kinds, 0.15 * seed, seed)


def run_network(name, kinds, stall, seed, *, blocks=2, keep_maps=True):
    geometry = GEOMETRIES[name]
    mix = FormatMix(fixed8=geometry.fixed8_lanes, fixed4=geometry.fixed4_lanes, lut=geometry.lut_lanes,
                    lut_format=LUT_FORMATS[geometry.lut_scheme])  # fmt: skip
    graph = random_graph(seed, blocks=blocks, kinds=kinds, size=(5, 4), channels=(4, 8), mix=mix,
                         activation_bits=geometry.activation_bits)  # fmt: skip
    program = compile_graph(graph, geometry, keep_maps=keep_maps)
    codes = np.random.default_rng(seed).integers(0, 256, (3, 5, 4)).astype(np.uint8)
    bench = Bench.of_program(program, codes, stall=stall, seed=seed)

    async def testbench(ctx):
        await bench.run_to_end(ctx)
        assert await bench.read(ctx, "COMPUTE_STEPS") == sum(layer.steps for layer in program.layers)

    bench.simulate(testbench)
    return program
