"""The self-test of a program: what every layer must leave in the log for the test image, by the integer executor."""

import dataclasses

from ..quant.graph.executor import execute
from ..quant.graph.graph import IntegerGraph
from .program.log_records import expected_crcs, selftest_codes
from .program.program import Program


def with_selftest(program: Program, graph: IntegerGraph) -> Program:
    """The program with the CRCs of its self-test, which a device needs neither the graph nor the executor for.

    Parameters
    ----------
    graph: what the program was compiled from.
    """
    tensors = execute(graph, selftest_codes(program.input))
    return dataclasses.replace(program, selftest=expected_crcs(program, tensors))
