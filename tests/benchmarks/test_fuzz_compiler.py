"""Random cases of the compiler without a fault, and what becomes of one: it is made small and printed as a test."""

import pytest

import benchmarks.fuzz_cases
from benchmarks.fuzz_cases import Mismatch, Outcome, affordable, check, outcome
from benchmarks.fuzz_compiler import IMPORTS, as_test, fuzz, kind_of
from benchmarks.fuzz_draws import draw_case
from intramix.compiler.errors import CompileError, InternalError
from intramix.quant.graph.graph import Convolution
from intramix.quant.graph.random_graph import single_convolution
from tests.support.small import SMALL


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_no_case_of_the_first_forty_fails(part):
    tally = fuzz(0, iter(range(8 * part, 8 * part + 8)))
    assert tally.cases == 8
    assert not tally.finds, [as_test(case, fault, "find") for case, fault in tally.finds]
    assert tally.compared > 100


def test_cases_are_drawn_again_alike():
    assert draw_case(3, 5) == draw_case(3, 5) != draw_case(3, 6)


def test_some_cases_pad_maps_with_other_codes_than_zero():
    """Images and inner maps, of all readers."""
    padded = {"image": 0, "inner": 0}
    for number in range(60):
        graph = draw_case(0, number).graph()
        for layer in graph.computing:
            if isinstance(layer, Convolution) and layer.padding and graph.tensors[layer.input].zero_point:
                padded["image" if layer.input == graph.input else "inner"] += 1
    assert padded["image"] >= 2
    assert padded["inner"] >= 12


def test_a_find_is_made_small_and_printed_as_a_test():
    """A compiler that fails on depthwise layers of more than four channels over several images."""

    def run(case):
        wide = case.arguments.get("depthwise") and case.arguments["channels"] > 4 and case.batch > 1
        return Outcome(fault=Mismatch("tensor 'map0' differs")) if wide and affordable(case) else Outcome(compared=1)

    number = next(number for number in range(200) if run(draw_case(0, number)).fault)
    tally = fuzz(0, iter([number]), run=run, shrink_seconds=600)
    ((case, fault),) = tally.finds
    assert affordable(case)
    assert (case.batch, case.arguments["channels"], case.arguments["filters"]) == (2, 5, 5)
    assert case.arguments["size"] == case.arguments["kernel"] == (1, 1)
    assert case.geometry.pixel_lanes == case.geometry.weight_ports == case.geometry.maps_ports == 1
    text = as_test(case, fault, "find_0_0")
    assert text.splitlines()[:2] == ["def test_find_0_0():", "    \"\"\"Mismatch: tensor 'map0' differs\"\"\""]
    called = []
    names: dict = {}
    exec(IMPORTS, names)
    names["check"] = lambda *given, **named: called.append((given, named))
    exec(text, names)
    names["test_find_0_0"]()
    (((graph,), fields),) = called
    assert fields == {"geometry": case.geometry, "batch": 2, "keep_maps": case.keep_maps}
    assert [layer.weight.tolist() for layer in graph.layers] == [layer.weight.tolist() for layer in case.graph().layers]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CompileError("layer 'a'", "does not fit"), "refused"),
        (InternalError("layer 'a'", "stands still"), "fault"),
        (AssertionError("the schedule is not topological"), "fault"),
    ],
)
def test_only_a_network_that_does_not_fit_is_refused(monkeypatch, error, kind):
    def fail(*given, **named):
        raise error

    monkeypatch.setattr(benchmarks.fuzz_cases, "compile_graph", fail)
    found = outcome(draw_case(0, 0))
    assert {name for name in ("refused", "fault") if getattr(found, name) is error} == {kind}


def test_a_wrong_value_is_a_mismatch(monkeypatch):
    graph = single_convolution(0)
    right = benchmarks.fuzz_cases.run_codes

    def wrong(program, codes):
        found = right(program, codes)
        found[graph.outputs[0]].flat[0] ^= 1
        return found

    monkeypatch.setattr(benchmarks.fuzz_cases, "run_codes", wrong)
    with pytest.raises(Mismatch, match=f"tensor '{graph.outputs[0]}' of image 0: 1 of"):
        check(graph, SMALL, batch=2)


def test_reasons_are_counted_without_names_and_numbers():
    reason = "one window needs 640 activation words (4 channel words × 2 digits × 8×10) besides its padding, and 3"
    assert kind_of(reason) == "one window needs n activation words"
    assert kind_of("share one order of channels: 'a', 'b' and 9") == "share one order of channels: …, … and n"
