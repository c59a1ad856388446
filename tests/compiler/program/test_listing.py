"""The listing says what the instructions do, in lines that stay as they are."""

from intramix.compiler.compile import compile_graph
from intramix.compiler.program.listing import listing
from intramix.hdl.isa import INSTRUCTION_BYTES
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix, random_graph, single_convolution


def lines_of(program):
    return listing(program).splitlines()


def test_maps_of_a_batch_have_images(geometries):
    """An image's plane begins where the one before it ends; of one image, places are as ever."""
    graph = single_convolution(1, channels=6, filters=8, size=(5, 6), input_bits=4, output_bits=4)
    text = listing(compile_graph(graph, geometries["plain"], batch=3))
    assert text.splitlines()[1] == "batch of 3 images: maps are [plane, image, row, column]"
    name = graph.layers[0].output
    stores = [line for line in text.splitlines() if " STORE " in line]
    for image in range(3):
        assert any(f"{name}[0, {image}, 0, 0]" in line for line in stores), (image, stores)
    assert "batch" not in listing(compile_graph(graph, geometries["plain"]))


def test_golden_lines(geometries):
    graph = single_convolution(
        1,
        channels=6,
        filters=8,
        size=(5, 6),
        padding=Padding(1, 1, 1, 1),
        input_bits=4,
        output_bits=4,
        mix=FormatMix(0, 1, 1),
    )
    program = compile_graph(graph, geometries["plain"])
    lines = lines_of(program)
    assert lines[0].startswith(f"program {graph.name}: 7 instructions, INPUT 192 bytes")
    name = graph.layers[0].name
    source, target = graph.input, graph.layers[0].output
    assert [line.rstrip() for line in lines[2:]] == [
        f"     0    0 LOAD_MAP       {source}[0, 0, 0] 1 planes × 1+5+1 rows × 6 → input@1, 5 rows a lane, lanes 0 … 1"
        "  signal INPUT_READY",
        "     1    0 LOAD_CONSTANTS 1 tiles from PARAMETERS+0x2c0  ring 0/1024  1/16 tiles",
        "     2    0 LOAD_WEIGHTS   9 words from PARAMETERS+0x0  ring 9/1024  1/16 tiles",
        "",
        f"layer 0 {name} (convolution) → {target}: 162 steps, ideal 51; lanes 2 fixed-8, 3 fixed-4, 3 lut-sp2-4; reads "
        f"{program.layers[0].read_bytes} bytes, writes {program.layers[0].write_bytes}",
        "     3    0 COMPUTE        convolve 3×6 pixels, window 3×3×1, 1 passes, input@0 → output@0, 9 words at ring+0"
        "  wait INPUT_READY  signal OUTPUT_READY  ring 0/1024  0/16 tiles",
        f"     4    0 STORE          lane 0 output@0 → {target}[0, 0, 0] 2 planes × 18 words  wait OUTPUT_READY",
        f"     5    0 STORE          lane 1 output@0 → {target}[0, 3, 0] 2 planes × 12 words, CRC to slot 0",
        "     6    0 FINISH         when every write is acknowledged",
    ]


def test_one_line_per_instruction_and_one_heading_per_layer(geometries):
    for keep in (True, False):
        program = compile_graph(random_graph(4, blocks=5), geometries["plain"], keep_maps=keep)
        lines = lines_of(program)
        assert len([line for line in lines if line.startswith("layer ")]) == len(program.layers)
        numbered = [line for line in lines if line[:6].strip().isdigit()]
        assert len(numbered) == len(program.instructions) // INSTRUCTION_BYTES
        for line in numbered:
            # Every LOAD_MAP and STORE names a tensor, not a bare address.
            assert not any(region in line for region in ("INPUT+", "OUTPUT+", "WORKSPACE+"))
