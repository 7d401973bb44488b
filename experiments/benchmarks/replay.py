"""How fast the replay of recorded pretrainings is.

Question: can hundreds of rules be tried on recorded curves while one waits?
Command:  python experiments/benchmarks/replay.py --json replay.json
Cost:     seconds, one core.
Result:   a table of median, smallest and largest value of the repetitions, the measurements taking turns. A
          replayed trial is one pretraining of ten checkpoints through one rule, on four simulated workers.
"""

import random
import sys
import time
from collections.abc import Sequence

from measurement import Measured, benchmark

from raytransfer.ray_tune.named_schedulers import judge_factory
from raytransfer.scheduling.simulation import RecordedPretraining, simulate

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


def measure() -> Measured:
    """Measure every claim."""
    recorded = pretrainings()
    spent = seconds(RULES, recorded)
    yield "replayed_trials_per_s", len(RULES) * PRETRAININGS / spent
    yield "seconds_of_36_pretrainings_under_100_rules", spent
    yield (
        "replayed_trials_per_s_ray_schedulers",
        (len(SCHEDULERS) * PRETRAININGS / seconds(SCHEDULERS, recorded)),
    )


if __name__ == "__main__":
    sys.exit(benchmark(__doc__, measure))
