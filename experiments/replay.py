"""Replay recorded pretrainings through stopping rules and Ray Tune's schedulers.

Question: would a rule have found a good checkpoint with less pretraining than a fixed number of epochs?
Command:  python experiments/replay.py --published DIR         (the thesis's published tables in DIR)
          python experiments/replay.py --preset demo           (a study that experiments/grid.py has run)
          Add --output DIR for replay.csv and frontier.png.
Cost:     seconds; only reads, runs nothing, starts no Ray.
Result:   a table: mean and worst TIS, the standard error of the mean over configurations, epochs paid where
          each configuration has a pretraining of its own, how far the mean lies over fixed budgets of the
          same mean epochs; then for pretrainings shared by their targets, which go on until the last target
          stops: TIS, epochs per pretraining, time of all workers, makespan.

Rules read name(argument=value, ...). Ray's schedulers, unlike rules, compare pretrainings with each other:
they look for the best pretraining. HyperBand's first bracket stops nobody early, and few pretrainings fill
no other.
"""

import argparse
import math
import sys

from presets import PRESETS

from raytransfer.cli import Records, main_on_records
from raytransfer.ray_tune.named_schedulers import SCHEDULERS, judge_factory
from raytransfer.report import (
    Recordings,
    choice_of,
    draw_frontier,
    fixed_budgets,
    rate,
    rating_table,
    recordings,
    write_ratings,
)
from raytransfer.scheduling import RULES

POOLED = {"decoder-only": ("decoder-only",), "always": ("full", "decoder-only"), "never": ()}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a replay can be asked."""
    parser.add_argument(
        "--rule",
        action="append",
        metavar="TEXT",
        help=f"for example 'first-peak(patience=2)'; repeatable; {', '.join([*RULES, *SCHEDULERS])} "
        "(default: all; a fixed budget for every recorded checkpoint is always there)",
    )
    parser.add_argument(
        "--workers", type=int, default=4, metavar="N", help="pretrainings that run at once (default: 4)"
    )
    parser.add_argument(
        "--pooled",
        choices=POOLED,
        default="decoder-only",
        help="modes in which representations are averaged over space (default: decoder-only); the other "
        "parameters of the score are --set robustness.distance, .margin and .level",
    )


def default_rules(recorded: Recordings) -> list[str]:
    """Return the rules that what was recorded allows."""
    errors = (e for p in recorded.pretrainings for points in p.curves.values() for _, e in points)
    return [
        *(f"first-peak(patience={patience})" for patience in (1, 2, 3)),
        *(["significant-fall(z=1)", "significant-fall(z=2)"] if all(map(math.isfinite, errors)) else []),
        "best-of-all",
        *SCHEDULERS,
    ]


def experiment(records: Records) -> int:
    """Replay, print the table, write the files."""
    options, config = records.options, records.study.robustness
    judges = {text: judge_factory(text) for text in options.rule or []}
    recorded = recordings(
        records.curves,
        lambda curve: choice_of(config, curve, pooled=POOLED[options.pooled]),
        records.epoch_seconds,
    )
    judges = judges or {text: judge_factory(text) for text in default_rules(recorded)}
    line = fixed_budgets(recorded, workers=options.workers)
    ratings = [rate(text, make, recorded, workers=options.workers) for text, make in judges.items()]
    print(
        f"{len(recorded.curves)} configurations, {len(recorded.pretrainings)} pretrainings, "
        f"{options.workers} workers; robustness: {config.distance}, margin {config.margin:g}, "
        f"level {config.level}, pooled: {options.pooled}\n"
    )
    print(rating_table([*line, *ratings], line, recorded.unit))
    if records.output is not None:
        table, figure = records.output / "replay.csv", records.output / "frontier.png"
        write_ratings(table, [*line, *ratings], line, recorded.unit)
        draw_frontier(figure, ratings, line)
        print(f"\ntable:  {table}\nfigure: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main_on_records(__doc__, PRESETS, experiment, add_options))
