"""How fast the replay of recorded pretrainings is.

Question: can hundreds of rules be tried on recorded curves while one waits?
Command:  python experiments/benchmarks/replay.py --json replay.json
Cost:     seconds, one core.
Result:   a table of median, smallest and largest value of the repetitions, the measurements taking turns. A
          replayed trial is one pretraining of ten checkpoints through one rule, on four simulated workers.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from tabulate import tabulate

from raytransfer.ray_tune.named_schedulers import judge_factory
from raytransfer.scheduling import RecordedPretraining, simulate

EPOCHS = (0, 1, 5, 20, 50, 100, 150, 200, 250, 300)
PRETRAININGS = 36
WORKERS = 4
RULES = [
    *(f"fixed-budget(epochs={epochs})" for epochs in range(12, 301, 12)),
    *(f"first-peak(patience={n}, min_delta={d / 100})" for n in range(1, 6) for d in range(5)),
    *(f"significant-fall(z={z / 4}, patience={n})" for z in range(12) for n in (1, 2)),
    *(f"best-of-all(grace_period={epochs})" for epochs in range(26)),
]
SCHEDULERS = ["asha", "hyperband", "median-stopping"]


def pretrainings() -> list[RecordedPretraining]:
    """Return curves that rise and level off, with noise; the same at every call."""
    draw = random.Random(0)
    return [
        RecordedPretraining(
            name=f"pretraining {index}",
            epochs=EPOCHS,
            durations=tuple(float(b - a) for a, b in zip((0, *EPOCHS), EPOCHS, strict=False)),
            curves={"target": [(1 - 0.5 / (1 + epoch) + draw.gauss(0, 0.02), 0.02) for epoch in EPOCHS]},
        )
        for index in range(PRETRAININGS)
    ]


def seconds(rules: Sequence[str], recorded: Sequence[RecordedPretraining]) -> float:
    """Return how long all pretrainings under all rules take, rules built from their text."""
    started = time.perf_counter()
    for rule in rules:
        simulate(recorded, judge_factory(rule)(recorded), workers=WORKERS)
    return time.perf_counter() - started


def measure(repetitions: int) -> dict[str, dict[str, float]]:
    """Return claim -> value (the median), low and high."""
    recorded = pretrainings()
    claims: dict[str, Callable[[], float]] = {
        "replayed_trials_per_s": lambda: len(RULES) * PRETRAININGS / seconds(RULES, recorded),
        "seconds_of_36_pretrainings_under_100_rules": lambda: seconds(RULES, recorded),
        "replayed_trials_per_s_ray_schedulers": lambda: (
            len(SCHEDULERS) * PRETRAININGS / seconds(SCHEDULERS, recorded)
        ),
    }
    found: dict[str, list[float]] = {claim: [] for claim in claims}
    for _ in range(repetitions):
        for claim, value in claims.items():
            found[claim].append(value())
    return {
        claim: {"value": median(values), "low": min(values), "high": max(values)}
        for claim, values in found.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON file; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there too")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="at least 5; default: 7")
    args = parser.parse_args(arguments)
    if args.repetitions < 5:
        parser.error(f"--repetitions must be at least 5, got {args.repetitions}")
    results = measure(args.repetitions)
    rows = [
        [claim, *(f"{of[key]:,.4g}" for key in ("value", "low", "high"))] for claim, of in results.items()
    ]
    print(tabulate(rows, headers=["claim", "median", "low", "high"], disable_numparse=True))
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
