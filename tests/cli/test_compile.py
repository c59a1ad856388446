"""What `compile` says of a program beside its layers."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from intramix.cli.main import intramix as cli
from intramix.quant.graph.fileformat import save
from intramix.quant.graph.random_graph import single_convolution
from tests.support.signed_maps import signed_network


@pytest.mark.parametrize("signed", [False, True])
def test_bytes_of_borders_are_said(tmp_path: Path, signed: bool) -> None:
    """Of a network that has any; the listing names each."""
    save(signed_network(5) if signed else single_convolution(1), tmp_path / "net.imx")
    arguments = ["compile", str(tmp_path / "net.imx"), "--board", "small", "--listing"]
    result = CliRunner().invoke(cli, [*arguments, "--json", str(tmp_path / "figures.json")])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "figures.json").read_text())["border_bytes"]
    listed = re.findall(r"^border of map\d+ .* (\d+) bytes$", result.output, re.MULTILINE)
    assert found == sum(map(int, listed))
    assert (f" of maps ({found:,} of borders), " in result.output) == bool(found) == signed
