"""All benchmarks, one after the other: `python -m benchmarks` or `make bench`; figures in build/benchmarks/*.json."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path("build/benchmarks")
COMMANDS = {
    "lane_cost": ["-m", "benchmarks.lane_cost"],
    "convolution": ["-m", "benchmarks.convolution", "--board", "pynq-z2"],
    "simulation_speed": ["-m", "benchmarks.simulation_speed", "--board", "pynq-z2"],
    "driver": ["-m", "benchmarks.driver", "--simulate"],
    "synthesis": ["-m", "intramix.cli.main", "synthesize", "--board", "pynq-z2"],
}


def main() -> int:
    """Runs every benchmark; the number of those that failed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, command in COMMANDS.items():
        print(f"== {name}: python {' '.join(command)}", flush=True)
        run = [sys.executable, *command, "--json", str(FOLDER / f"{name}.json")]
        failed += subprocess.run(run, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
