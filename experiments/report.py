"""The report: which checkpoint to take, how sure that is, and everything behind it, on one page.

Question: which checkpoint should be taken for each dataset, model and protocol, what does it cost against the
          best one, and what would the last checkpoint, fixed budgets and no pretraining have given?
Command:  python experiments/report.py --preset demo --output DIR     (a study that experiments/grid.py ran)
          python experiments/report.py --published DIR --output DIR   (the thesis's published tables in DIR)
Cost:     seconds; runs nothing, starts no Ray.
Result:   DIR/report.html, one page that needs nothing else; DIR/tables/*.csv; DIR/figures/*.svg, each with
          what it draws as CSV. What a study lacks is shown as missing, with the command that fills it.
          Where the study has an MLflow database, the command's run beside the trials holds the same files.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from presets import PRESETS
from replay import replayed

from raytransfer.cli.command import main_on_records
from raytransfer.cli.options import filled, read_by
from raytransfer.cli.records import Records
from raytransfer.errors import InputError
from raytransfer.report import sections
from raytransfer.report.answer import (
    advice,
    answer_section,
    headline,
    missing_answers,
    missing_results,
    worth_of_robustness,
)
from raytransfer.report.page import Section, write_page
from raytransfer.results.curves import trained
from raytransfer.results.provenance import git_sha
from raytransfer.statistics.answer import recommend
from raytransfer.statistics.performance import performance
from raytransfer.statistics.signals import Signal
from raytransfer.storage.files import StoragePath
from raytransfer.terminal import SOON, progress
from raytransfer.thesis.printed import looks_ahead
from raytransfer.tracking.tracker import Tracker, store_uri


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a report can be asked."""
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        type=read_by(filled),
        help="MLflow server or store to show the report in (default: the study's mlflow.db where it has one)",
    )


def show_in_mlflow(records: Records, page: Path) -> None:
    """Log the report into this command's MLflow run, beside the trials it is about."""
    folder = page.parent if records.storage is None else records.storage.root
    given = records.options.tracking_uri
    if given is None and (records.storage is None or not (folder / "mlflow.db").exists()):
        return
    files: dict[StoragePath, str] = {
        page: "",
        page.parent / "tables": "tables",
        page.parent / "figures": "figures",
    }
    try:
        uri = store_uri(given, folder)
        with Tracker(uri, artifact_root=folder / "mlartifacts", own=given is None) as tracker:
            tracker.attach("evaluation", files)
    except InputError as error:
        print(f"not shown in MLflow: {error}", file=sys.stderr)


def experiment(records: Records) -> int:
    """Build the report."""
    start = time.perf_counter()
    if records.output is None:
        raise InputError("--output DIR is needed: the folder to write the report into")
    published, curves = records.storage is None, records.curves
    signal = Signal.of_study(records.study.robustness)
    lacking = [c for c in curves if signal.choice(c.encoder, c.protocol) not in c.scores]
    if lacking:
        raise InputError(f"no scores {signal} of {lacking[0].encoder} on {lacking[0].dataset}")
    rows = performance(trained(records.trials), records.expected)
    answer = recommend(curves, signal)
    trainings = records.trials.num_rows - records.trials["dice"].null_count
    parts: list[Callable[[], Section | None]] = [
        lambda: sections.performance_section(rows),
        lambda: sections.pretraining_section(records.pretraining, records.trials),
        *([lambda: sections.metric_section(records.trials)] if trainings else []),
    ]
    if curves:
        parts[:1] = [
            lambda: answer_section(answer, rows),
            *parts[:1],
            lambda: sections.indicator_section(curves, rows, answer, published=published),
            lambda: sections.stopping_section(*replayed(records)),
            lambda: sections.parameter_section(curves, rows),
        ]
    each = progress(parts, len(parts), title="report", unit="section", delay=SOON)
    made = [section for section in (part() for part in each) if section is not None]
    name = "the thesis’s published tables" if records.storage is None else f"the study {records.storage.root}"
    page = write_page(
        records.output,
        made,
        title="Which checkpoint should be transferred?",
        subtitle=f"From {name}: {trainings:,} downstream trainings, {len(curves)} complete configurations of "
        f"{len(records.expected)} (dataset, model, scheme and protocol).",
        name=name,
        headline=headline(answer),
        robustness=worth_of_robustness(answer),
        recommendations=[advice(recommendation) for recommendation in answer.recommendations],
        datasets=sorted({dataset for _, dataset, *_ in records.expected}),
        missing_answers=missing_answers(rows, answer),
        warnings=looks_ahead(curves),
        missing_results=missing_results(rows, records.missing),
        fill=records.fill,
        provenance={
            "made by": shlex.join(["python", *sys.argv]),
            "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "code": git_sha(),
            "data": name,
            "thesis": "G. Hidy, Transferability metrics and medical image segmentation with neural networks, "
            "Eötvös Loránd University, 2024 (also arXiv:2410.18677)",
        },
    )
    print(*filter(None, (headline(answer), worth_of_robustness(answer))), sep="\n")
    print(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - start:.1f} s)")
    show_in_mlflow(records, page)
    return 0


if __name__ == "__main__":
    sys.exit(main_on_records(__doc__, PRESETS, experiment, add_options))
