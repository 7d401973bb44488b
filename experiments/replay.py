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

Rules read name(argument=value, ...), and where they should follow other scores than the study's (--set
robustness.distance, .margin, .level, .pooled) or those they were made for, "rule on signal": for example
'first-peak(patience=2) on l2(margin=1, level=-4, pooled=never)'. Ray's schedulers, unlike rules, compare
pretrainings with each other: they look for the best pretraining. HyperBand's first bracket stops nobody
early, and few pretrainings fill no other.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

from presets import PRESETS

from raytransfer.cli.command import main_on_records
from raytransfer.cli.options import whole_number
from raytransfer.cli.records import Records
from raytransfer.errors import InputError
from raytransfer.ray_tune.named_schedulers import SCHEDULERS, judge_factory
from raytransfer.report.figures import draw_frontier
from raytransfer.report.tables import rating_table, write_ratings
from raytransfer.scheduling.plateau import Plateau
from raytransfer.scheduling.registry import RULES, rule_factory
from raytransfer.settings import MOST_PROCESSES
from raytransfer.statistics.ratings import (
    JudgeFactory,
    Rating,
    Recordings,
    fixed_budgets,
    rate,
    recordings,
)
from raytransfer.statistics.signals import Signal, read_signal, rule_and_signal


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
        "--workers",
        type=whole_number(1, MOST_PROCESSES),
        default=4,
        metavar="N",
        help="pretrainings that run at once (default: 4)",
    )


def default_rules(recorded: Recordings) -> list[str]:
    """Return the rules that what was recorded allows."""
    errors = (e for p in recorded.pretrainings for points in p.curves.values() for _, e in points)
    signal = read_signal(Plateau.signal)
    follows = all(signal.choice(curve.encoder, curve.protocol) in curve.scores for curve in recorded.curves)
    return [
        *(f"first-peak(patience={patience})" for patience in (1, 2, 3)),
        *(["significant-fall(z=1)", "significant-fall(z=2)"] if all(map(math.isfinite, errors)) else []),
        *(["plateau"] if follows else []),
        "best-of-all",
        *SCHEDULERS,
    ]


class Replayed(NamedTuple):
    """Ratings of rules, of the fixed budgets, and what their times count ("hour" or "epoch")."""

    ratings: list[Rating]
    line: list[Rating]
    unit: str


def replayed(records: Records, rules: Sequence[str] = (), workers: int = 4) -> Replayed:
    """Replay what was recorded.

    Args:
        records: A study's, or the published.
        rules: As of `--rule`; all where empty.
        workers: Pretrainings that run at once.
    """
    default = Signal.of_study(records.study.robustness)

    def read(text: str) -> tuple[str, JudgeFactory, Signal]:
        rule, signal = rule_and_signal(text, default)
        return (rule if signal == default else f"{rule} on {signal}"), judge_factory(rule), signal

    asked = [read(text) for text in rules]
    last = max((curve.epochs[-1] for curve in records.curves), default=0)
    for rule in (rule_and_signal(text, default)[0] for text in rules):
        if rule.partition("(")[0].strip() in RULES:
            rule_factory(rule)().check_epochs(last)
    recorded = {default: recordings(records.curves, default, records.epoch_seconds)}
    asked = asked or [read(text) for text in default_rules(recorded[default])]
    for _, _, signal in asked:
        if signal not in recorded:
            recorded[signal] = recordings(records.curves, signal, records.epoch_seconds)
    return Replayed(
        ratings=[rate(text, make, recorded[of], workers=workers) for text, make, of in asked],
        line=fixed_budgets(recorded[default], workers=workers),
        unit=recorded[default].unit,
    )


def experiment(records: Records) -> int:
    """Replay, print the table, write the files."""
    if not records.curves:
        raise InputError(f"no curve is complete that could be replayed: {records.fill}")
    workers = records.options.workers
    ratings, line, unit = replayed(records, records.options.rule or (), workers)
    pretrainings = {(curve.encoder, curve.scheme) for curve in records.curves}
    print(
        f"{len(records.curves)} configurations, {len(pretrainings)} pretrainings, {workers} workers; "
        f"robustness, where a rule says nothing else: {Signal.of_study(records.study.robustness)}\n"
    )
    print(rating_table([*line, *ratings], line, unit))
    if records.output is not None:
        table, figure = records.output / "replay.csv", records.output / "frontier.png"
        write_ratings(table, [*line, *ratings], line, unit)
        draw_frontier(figure, ratings, line)
        print(f"\ntable:  {table}\nfigure: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main_on_records(__doc__, PRESETS, experiment, add_options))
