"""How soon a command says something: help, a refusal, and the package itself.

Question: does a wrong option show at once, or after the libraries have been read that compute?
Command:  python experiments/benchmarks/startup.py --json startup.json
Cost:     a minute, one core.
Result:   a table of median, smallest and largest value of the repetitions, the measurements taking turns.
          Seconds of wall time of a new process each; those of Python alone are in all of them.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measurement import Measured, benchmark

PROJECT = Path(__file__).resolve().parents[2]
CONSOLE = (sys.executable, "-c", "import sys; from raytransfer.cli.main import main; sys.exit(main())")
SCRIPT = (sys.executable, str(PROJECT / "experiments/grid.py"))
COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "python": ((sys.executable, "-c", "pass"), 0),
    "import_raytransfer": ((sys.executable, "-c", "import raytransfer; dir(raytransfer)"), 0),
    "help": ((*CONSOLE, "--help"), 0),
    "help_of_grid": ((*CONSOLE, "grid", "--help"), 0),
    "help_of_the_script": ((*SCRIPT, "--help"), 0),
    "help_of_search": ((*CONSOLE, "search", "--help"), 0),
    "refused_option": ((*CONSOLE, "grid", "--frobnicate"), 2),
    "refused_name": ((*CONSOLE, "grid", "--set", "models=unet-mikro"), 2),
    "refused_value": ((*CONSOLE, "grid", "--set", "source.train_per_class=1"), 2),
    "refused_path": ((*CONSOLE, "report", "--storage-path", "none"), 2),
}
"""Claim -> command line, and the exit code that it must end with."""


def measure() -> Measured:
    """Measure every claim."""
    with tempfile.TemporaryDirectory() as folder:
        for claim, (command, code) in COMMANDS.items():
            began = time.perf_counter()
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            seconds = time.perf_counter() - began
            if done.returncode != code:
                raise RuntimeError(f"{claim} ended with {done.returncode}: {done.stderr}")
            yield f"seconds_{claim}", seconds


if __name__ == "__main__":
    sys.exit(benchmark(__doc__, measure))
