"""What all benchmarks share: claims measured in turns, a table, and a JSON file."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from tabulate import tabulate

Measured = Iterator[tuple[str, float]]
"""(claim, value) pairs of one repetition."""


def benchmark(
    doc: str,
    measure: Callable[[], Measured],
    *,
    once: Callable[[], Measured] | None = None,
    argv: Sequence[str] | None = None,
) -> int:
    """Measure, print the table, and write the JSON file that `--json` names.

    Args:
        doc: What `--help` begins with: the script's docstring.
        measure: Makes one repetition of all claims; called anew for each, so that claims take turns.
        once: Makes the claims that take too long to be repeated, before the others.
        argv: The command line; the process's where None.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there too")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="at least 5 (default: 5)")
    arguments = parser.parse_args(argv)
    if arguments.repetitions < 5:
        parser.error(f"--repetitions must be at least 5, got {arguments.repetitions}")
    found: dict[str, list[float]] = {claim: [value] for claim, value in (once() if once else ())}
    for _ in range(arguments.repetitions):
        for claim, value in measure():
            found.setdefault(claim, []).append(value)
    results = {
        claim: {"value": median(values), "low": min(values), "high": max(values)}
        for claim, values in found.items()
    }
    rows = [[claim, *(f"{value:,.4g}" for value in of.values())] for claim, of in results.items()]
    print(tabulate(rows, headers=["claim", "median", "low", "high"], disable_numparse=True))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0
