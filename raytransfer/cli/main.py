"""The console command `raytransfer <verb>`."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from raytransfer.cli.outcome import reported
from raytransfer.commands import PROGRAM
from raytransfer.errors import unknown_name

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
"""Verb -> what it does; its module is imported when it is run."""


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {line}" for verb, line in VERBS.items())
    return (
        "Which encoder should be transferred to a medical imaging task, and how long should it have been "
        f"pretrained?\n\nverbs:\n{verbs}\n\n{PROGRAM} <verb> --help says more of each, with its options."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit code, 2 where there is no such verb.

    Args:
        argv: The command line; the process's where None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and not words[0].startswith("-"):
        return reported(lambda: _run(words[0], words[1:]))
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} <verb> [options]",
        description=_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(words)
    parser.print_help()
    return 0


def _run(verb: str, options: Sequence[str]) -> int:
    if verb not in VERBS:
        raise unknown_name("verb", verb, VERBS)
    code: int = import_module(f"raytransfer.cli.verbs.{verb.replace('-', '_')}").main(options)
    return code
