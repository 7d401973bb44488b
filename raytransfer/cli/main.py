"""The console command `raytransfer <verb>`."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from raytransfer.cli.outcome import reported
from raytransfer.commands import MODULES, PROGRAM, VERBS
from raytransfer.errors import unknown_name


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
    code: int = import_module(f"raytransfer.cli.verbs.{MODULES[verb]}").main(options)
    return code
