"""Replay recorded pretrainings through stopping rules and Ray Tune's schedulers.

Question: would a rule have found a good checkpoint with less pretraining than a fixed number of epochs?
Command:  raytransfer replay --published DIR         (the thesis's published tables in DIR)
          raytransfer replay --preset demo           (a study that raytransfer grid has run)
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

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.cli.options import whole_number
from raytransfer.errors import InputError
from raytransfer.pipeline.records import Records
from raytransfer.ray_tune.named_schedulers import SCHEDULERS
from raytransfer.scheduling.registry import RULES
from raytransfer.settings import MOST_PROCESSES


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


def experiment(records: Records, options: Options) -> int:
    """Replay, print the table, write the files."""
    if not records.curves:
        raise InputError(f"no curve is complete that could be replayed: {records.fill}")
    from raytransfer.pipeline.replaying import replayed  # with what draws and computes
    from raytransfer.report.figures import draw_frontier
    from raytransfer.report.tables import rating_table, write_ratings
    from raytransfer.statistics.signals import Signal

    workers = options.workers
    ratings, line, unit = replayed(records, options.rule or (), workers)
    pretrainings = {(curve.encoder, curve.scheme) for curve in records.curves}
    print(
        f"{len(records.curves)} configurations, {len(pretrainings)} pretrainings, {workers} workers; "
        f"robustness, where a rule says nothing else: {Signal.of_study(records.study.robustness)}\n"
    )
    print(rating_table([*line, *ratings], line, unit))
    if options.output is not None:
        table, figure = options.output / "replay.csv", options.output / "frontier.png"
        write_ratings(table, [*line, *ratings], line, unit)
        draw_frontier(figure, ratings, line)
        print(f"\ntable:  {table}\nfigure: {figure}")
    return 0


main = command.verb_that_reads("replay", __doc__, experiment, add_options)
