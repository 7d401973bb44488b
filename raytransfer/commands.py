"""Command lines that messages tell people to run next, in the way in which they started this one.

Verbs are those of the console command, `raytransfer grid`; each has a script too, `python
experiments/grid.py`. A message names the scripts where a script was started, and else the console command.
"""

import re
import shlex
import sys
from pathlib import Path

PROGRAM = "raytransfer"
VERBS = {
    "pretrain": "pretrain encoders and keep their checkpoint series",
    "score": "score every checkpoint on the target images, without their labels",
    "grid": "the main job: pretrain, score, train every checkpoint on the target task, and answer",
    "early-stop": "pretrain only as long as the score on the targets says so",
    "search": "search for training settings with Optuna",
    "replay": "replay recorded pretrainings through stopping rules and Ray Tune's schedulers",
    "report": "write the answer and everything behind it on one page",
    "ablation": "compare the indicator's parameters, and simple choices",
    "prepare": "bring a target data set into the form that training reads",
    "import-encoders": "import the encoders that were published with the thesis",
}
"""Verb -> what it does."""
MODULES = {verb: verb.replace("-", "_") for verb in VERBS}
"""Verb -> its module in `raytransfer.cli.verbs`; it is imported when the verb is run."""
SCRIPTS = {verb: f"{module}.py" for verb, module in MODULES.items()} | {"score": "robustness.py"}
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


def with_scripts(doc: str) -> str:
    """Return a verb's text with the scripts in the place of the verbs.

    Examples:
        >>> with_scripts("Command:  raytransfer score"), with_scripts("Cost:  what raytransfer grid costs")
        ('Command:  python experiments/robustness.py', 'Cost:  what experiments/grid.py costs')
    """

    def script(found: re.Match[str]) -> str:
        start, verb = found.groups()
        return f"{start + 'python ' if start else ''}experiments/{SCRIPTS[verb]}"

    return re.sub(rf"(?m)(^(?:Command:)? +)?{PROGRAM} ({'|'.join(SCRIPTS)})\b", script, doc)


def explained(doc: str) -> str:
    """Return a verb's text as its help shows it, with commands in the way in which this one was started."""
    return doc if _script() is None else with_scripts(doc)


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
