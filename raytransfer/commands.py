"""Command lines that messages tell people to run next, in the way in which they started this one.

Verbs are those of the console command, `raytransfer grid`; each has a script too, `python
experiments/grid.py`. A message names the scripts where a script was started, and else the console command.
"""

import shlex
import sys
from pathlib import Path

PROGRAM = "raytransfer"
SCRIPTS = {
    "pretrain": "pretrain.py",
    "score": "robustness.py",
    "grid": "grid.py",
    "early-stop": "early_stop.py",
    "search": "search.py",
    "replay": "replay.py",
    "report": "report.py",
    "ablation": "ablation.py",
    "prepare": "prepare.py",
    "import-encoders": "import_encoders.py",
}
"""Verb -> its script's file."""


def _script() -> Path | None:
    """Return the script that was started, None where it was none of ours."""
    started = Path(sys.argv[0])
    return started if started.name in SCRIPTS.values() else None


def program(verb: str) -> str:
    """Return what a verb's help and errors call the program.

    Examples:
        >>> program("grid")
        'raytransfer grid'
    """
    script = _script()
    return f"{PROGRAM} {verb}" if script is None else script.name


def command(verb: str, *options: str) -> str:
    """Return a command line that can be pasted into a shell.

    Args:
        verb: One of `SCRIPTS`.
        *options: Its options, as the program gets them.

    Examples:
        >>> command("prepare", "--source", "my scans")
        "raytransfer prepare --source 'my scans'"
    """
    script = _script()
    words = [PROGRAM, verb] if script is None else ["python", str(script.with_name(SCRIPTS[verb]))]
    return shlex.join([*words, *options])


def started_by() -> str:
    """Return the command line of this process, as a person would type it."""
    return shlex.join([PROGRAM, *sys.argv[1:]] if _script() is None else ["python", *sys.argv])
