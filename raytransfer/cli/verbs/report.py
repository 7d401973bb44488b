"""The report: which checkpoint to take, how sure that is, and everything behind it, on one page.

Question: which checkpoint should be taken for each dataset, model and protocol, what does it cost against the
          best one, and what would the last checkpoint, fixed budgets and no pretraining have given?
Command:  raytransfer report --preset demo --output DIR     (a study that raytransfer grid ran)
          raytransfer report --published DIR --output DIR   (the thesis's published tables in DIR)
Cost:     seconds; runs nothing, starts no Ray.
Result:   DIR/report.html, one page that needs nothing else; DIR/tables/*.csv; DIR/figures/*.svg, each with
          what it draws as CSV. What a study lacks is shown as missing, with the command that fills it.
          Where the study has an MLflow database, the command's run beside the trials holds the same files.
"""

import argparse
import time

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.cli.options import filled, read_by
from raytransfer.errors import InputError
from raytransfer.pipeline.records import Records


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a report can be asked."""
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        type=read_by(filled),
        help="MLflow server or store to show the report in (default: the study's mlflow.db where it has one)",
    )


def experiment(records: Records, options: Options) -> int:
    """Build the report."""
    start = time.perf_counter()
    if options.output is None:
        raise InputError("--output DIR is needed: the folder to write the report into")
    from raytransfer.pipeline.reporting import show_in_mlflow, write_report  # with what draws and computes
    from raytransfer.report.answer import headline, worth_of_robustness

    page, answer = write_report(records, options.output)
    print(*filter(None, (headline(answer), worth_of_robustness(answer))), sep="\n")
    print(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - start:.1f} s)")
    show_in_mlflow(records, page, options.tracking_uri)
    return 0


main = command.verb_that_reads("report", __doc__, experiment, add_options)
