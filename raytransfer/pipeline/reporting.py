"""The report and the ablation of what a study or the published tables recorded."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from raytransfer.commands import started_by
from raytransfer.errors import InputError
from raytransfer.pipeline.records import Records
from raytransfer.pipeline.replaying import replayed
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
from raytransfer.report.tables import ablation_text, baselines_text
from raytransfer.results.curves import trained
from raytransfer.results.provenance import git_sha
from raytransfer.statistics.ablation import choice_rows, parameter_rows
from raytransfer.statistics.answer import Answer, recommend
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.performance import performance
from raytransfer.statistics.selection import rule_rows
from raytransfer.statistics.signals import Signal
from raytransfer.storage.files import StoragePath
from raytransfer.terminal import SOON, progress
from raytransfer.thesis.findings import finding_rows, findings, findings_text
from raytransfer.thesis.printed import looks_ahead


def show_in_mlflow(records: Records, page: Path, tracking_uri: str | None = None) -> None:
    """Log the report into an MLflow run of its own, beside the trials it is about.

    Args:
        records: What was reported.
        page: The report's page.
        tracking_uri: MLflow server or store; the study's `mlflow.db` where None, nothing where it has none.
    """
    folder = page.parent if records.storage is None else records.storage.root
    if tracking_uri is None and (records.storage is None or not (folder / "mlflow.db").exists()):
        return
    files: dict[StoragePath, str] = {
        page: "",
        page.parent / "tables": "tables",
        page.parent / "figures": "figures",
    }
    try:
        from raytransfer.tracking.tracker import Tracker, store_uri

        uri = store_uri(tracking_uri, folder)
        with Tracker(uri, artifact_root=folder / "mlartifacts", own=tracking_uri is None) as tracker:
            tracker.attach("evaluation", files)
    except InputError as error:
        print(f"not shown in MLflow: {error}", file=sys.stderr)


def write_report(records: Records, output: Path) -> tuple[Path, Answer]:
    """Write a report.

    Args:
        records: What it is about.
        output: Its folder, which is there.

    Returns:
        The page, and the answer on it.

    Raises:
        InputError: A curve lacks the scores that choose checkpoints.
    """
    published, curves = records.storage is None, records.curves
    signal = Signal.of_study(records.study.robustness)
    lacking = [c for c in curves if signal.choice(c.encoder, c.protocol) not in c.scores]
    if lacking:
        raise InputError(f"no scores {signal} of {lacking[0].encoder} on {lacking[0].dataset}")
    rows = performance(trained(records.trials), records.expected)
    answer = recommend(curves, signal)
    trainings = records.trials.num_rows - records.trials["performance"].null_count
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
        output,
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
            "made by": started_by(),
            "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "code": git_sha(),
            "data": name,
            "thesis": "G. Hidy, Transferability metrics and medical image segmentation with neural networks, "
            "Eötvös Loránd University, 2024 (also arXiv:2410.18677)",
        },
    )
    return page, answer


def print_ablation(found: Sequence[Curve], output: Path | None) -> None:
    """Print the ablation of some curves, and write its tables where asked."""
    if not any(Signal().choice(curve.encoder, curve.protocol) in curve.scores for curve in found):
        raise InputError(f"no configuration has scores for the parameters that are varied: {Signal()}")
    rules, varied, every, claims = (
        rule_rows(found),
        parameter_rows(found),
        choice_rows(found),
        findings(found),
    )
    print(baselines_text(rules), ablation_text(found, varied, every), findings_text(claims), sep="\n\n")
    if output is not None:
        tables = {"rules": rules, "parameters": varied, "choices": every, "findings": finding_rows(claims)}
        for name, rows in tables.items():
            pacsv.write_csv(pa.Table.from_pylist(rows), output / f"{name}.csv")
        print(f"\ntables: {', '.join(f'{output / name}.csv' for name in tables)}")
