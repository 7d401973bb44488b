"""Tables as text, for the terminal: the answer, baselines, the ablation, stopping rules."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from raytransfer.results.live import target_name
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit
from raytransfer.scheduling.judgements import Judgement
from raytransfer.statistics.ablation import METHODS, Method
from raytransfer.statistics.answer import Answer, CurveSummary
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.ratings import Rating, rating_rows
from raytransfer.statistics.selection import ALL, BEST, LAST, NONE, PEAK
from raytransfer.statistics.signals import PARAMETERS

EXTREMES = 5
"""Best and worst choices that the ablation's table shows."""


def _labels(summaries: Sequence[CurveSummary]) -> list[str]:
    """Return which of a curve's names to show: the model, the protocol, and what else varies."""
    names = ("model", "dataset", "scheme", "protocol")
    varying = {name for name in names if len({getattr(s.curve, name) for s in summaries}) > 1}
    return [name for name in names if name in varying | {"model", "protocol"}]


def _with_error(value: float, error: float) -> str:
    return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"


def checkpoint_table(summaries: Sequence[CurveSummary]) -> str:
    """Return a text table: Performance and robustness of every checkpoint, per model and protocol."""
    epochs = sorted({epoch for summary in summaries for epoch in summary.curve.epochs})
    labels = _labels(summaries)
    rows = []
    for summary in summaries:
        curve, choice = summary.curve, summary.choice
        names = [getattr(curve, name) for name in labels]
        for title, values, errors in (
            (curve.metric, curve.performance, curve.spread),
            ("robustness", curve.scores[choice], curve.standard_errors[choice]),
        ):
            cells = dict(zip(curve.epochs, map(_with_error, values, errors), strict=True))
            rows.append([*names, title, *(cells.get(epoch, "") for epoch in epochs)])
            names = [""] * len(labels)
    headers = [*labels, "", *(f"epoch {epoch}" for epoch in epochs)]
    return tabulate(rows, headers=headers, disable_numparse=True)


def answer_table(answer: Answer, summaries: Sequence[CurveSummary]) -> str:
    """Return a text table: what robustness chooses and what that costs, beside the simple choices."""
    labels, columns = _labels(summaries), (BEST, PEAK, LAST, NONE)
    rows = []
    for summary in summaries:
        cells = []
        for name in columns:
            selected = summary.selected.get(name)
            text = "-" if selected is None else f"{selected.tis:.3f}"
            cells.append(text if selected is None or name == NONE else f"{text}  (epoch {selected.epoch})")
        rows.append([*(getattr(summary.curve, name) for name in labels), f"epoch {summary.best}", *cells])
    if len(summaries) > 1:
        means = (answer.strategy(name) for name in columns)
        rows.append(["mean", *("" for _ in labels), *(f"{mean.mean:.3f}" if mean else "-" for mean in means)])
    headers = [*labels, "best", "robustness", "first peak", "last checkpoint", "random init."]
    return tabulate(rows, headers=headers, disable_numparse=True)


def answer_text(answer: Answer, curves: Sequence[Curve]) -> str:
    """Return the end of a study as text: both tables and how to read them.

    Args:
        answer: At least one of its curves is complete.
        curves: Those of the answer, in the order of the rows.
    """
    summaries = answer.of(curves)
    seeds = len(summaries[0].curve.performances[0])
    metrics = " or ".join(dict.fromkeys(summary.curve.metric for summary in summaries))
    return "\n".join(
        [
            f"Downstream {metrics} on the test split (mean{' ± standard deviation' if seeds > 1 else ''} "
            f"over {seeds} seed{'s' if seeds > 1 else ''}) and robustness (± standard error over images)",
            checkpoint_table(summaries),
            "",
            f"Transferability indicator score: {metrics} of the chosen checkpoint / "
            f"{metrics} of the best one",
            answer_table(answer, summaries),
            "robustness: highest score among pretrained checkpoints; first peak: where it first falls;",
            f"scores: {answer.signal}",
        ]
    )


def _cell(row: Mapping[str, Any]) -> str:
    """Return a row's TIS as text: mean ± standard error (worst)."""
    error = "" if math.isnan(row["standard_error"]) else f" ± {row['standard_error']:.4f}"
    return f"{row['mean']:.4f}{error} ({row['worst']:.4f})"


def baselines_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of `rule_rows` as text: per dataset and protocol, then over all configurations."""
    columns = (BEST, PEAK, LAST, NONE)
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if row["rule"] in columns and row["dataset"] != ALL:
            lines.setdefault((row["dataset"], row["protocol"]), {})[row["rule"]] = _cell(row)
    by_dataset = [[*key, *(cells.get(name, "-") for name in columns)] for key, cells in lines.items()]
    overall = [
        [row["rule"], f"{row['mean']:.4f}", f"{row['standard_error']:.4f}", f"{row['worst']:.4f}",
         f"{row['epochs']:.1f}"]
        for row in rows
        if row["dataset"] == ALL
    ]  # fmt: skip
    return "\n\n".join(
        [
            "TIS of robustness's choices and simple ones, mean ± standard error over configurations (worst)",
            tabulate(by_dataset, headers=["dataset", "protocol", *columns], disable_numparse=True),
            f"Over all {max(row['configurations'] for row in rows)} configurations; epochs: of pretraining, "
            "paid for on average",
            tabulate(overall, headers=["choice", "mean", "s.e.", "worst", "epochs"], disable_numparse=True),
        ]
    )


def _parameter_table(parameter: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return one parameter's rows as a text table, the methods side by side."""
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = (row["value"], row["dataset"], row["protocol"], row["configurations"])
        lines.setdefault(key, {})[str(Method(row["method"], row["grace_period"]))] = _cell(row)
    methods = [str(method) for method in METHODS]
    body = [[*key, *(cells.get(method, "-") for method in methods)] for key, cells in lines.items()]
    return tabulate(body, headers=[parameter, "dataset", "protocol", "n", *methods], disable_numparse=True)


def _extremes_table(rows: Sequence[dict[str, Any]], method: Method, configurations: int) -> str:
    """Return the best and the worst choices that all configurations have, as a text table."""
    ranked = sorted(
        (
            row
            for row in rows
            if Method(row["method"], row["grace_period"]) == method
            and (row["dataset"], row["protocol"], row["configurations"]) == (ALL, ALL, configurations)
        ),
        key=lambda row: -row["mean"],
    )
    ranks = sorted({*range(min(EXTREMES, len(ranked))), *range(max(0, len(ranked) - EXTREMES), len(ranked))})
    body = [
        [
            f"{rank + 1} of {len(ranked)}",
            *(row[name] for name in ("distance", "margin", "level")),
            "yes" if row["pooled"] else "no",
            _cell(row),
        ]
        for rank, row in ((rank, ranked[rank]) for rank in ranks)
    ]
    return tabulate(body, headers=["rank", "distance", "margin", "level", "pooled", str(method)])


def ablation_text(
    curves: Sequence[Curve], varied: Sequence[dict[str, Any]], every: Sequence[dict[str, Any]]
) -> str:
    """Return the ablation as text: a table per parameter, then the best and worst of all choices.

    Args:
        curves: The configurations.
        varied: Their `parameter_rows`.
        every: Their `choice_rows`.
    """
    count = len(curves)
    tables = [
        _parameter_table(parameter, [row for row in varied if row["parameter"] == parameter])
        for parameter in PARAMETERS
    ]
    extremes = [_extremes_table(every, method, count) for method in METHODS[:2]]
    spread = [row["seed_spread"] for row in varied if row["dataset"] == ALL]
    heading = [
        "Ablation: TIS with one parameter varied, the others being cosine, margin 0.5, level -2 (second to "
        "last), pooled for frozen.",
        "Mean ± standard error over n configurations (worst); levels are counted from the deepest, -1.",
    ]
    if not any(map(math.isnan, spread)):
        heading.append(
            f"Seed by seed, the means over all vary by {min(spread):.4f} to {max(spread):.4f} (standard "
            "deviation over downstream seeds)."
        )
    return "\n\n".join(
        [
            "\n".join(heading),
            *tables,
            f"Of all choices that the {count} configurations have scores for, the best and the worst (the "
            "best of so many looks better than it is):",
            *extremes,
        ]
    )


def _number(value: str | float, places: int) -> str:
    if isinstance(value, str):
        return value
    return "-" if math.isnan(value) else f"{value:.{places}f}"


def rating_table(ratings: Sequence[Rating], line: Sequence[Rating], unit: str) -> str:
    """Return a text table, one row per rule; arguments as of `rating_rows`."""
    headers = [
        "rule", "mean TIS", "worst TIS", "s.e.", "epochs", "over fixed", "shared: TIS", "epochs",
        f"worker-{unit}s", f"makespan ({unit}s)",
    ]  # fmt: skip
    places = (0, 4, 4, 4, 1, 4, 4, 1, *((3, 3) if unit == "hour" else (1, 1)))
    rows = [
        [_number(value, n) for value, n in zip(row.values(), places, strict=True)]
        for row in rating_rows(ratings, line, unit)
    ]
    return tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", *["right"] * 9))


def write_ratings(
    path: str | os.PathLike[str], ratings: Sequence[Rating], line: Sequence[Rating], unit: str
) -> None:
    """Write the table as CSV, numbers in full; arguments as of `rating_rows`."""
    rows = rating_rows(ratings, line, unit)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _tis(unit: PretrainingUnit, judgement: Judgement, curves: Sequence[Curve]) -> str:
    """Return the TIS of the selected checkpoint in every recorded model that has this encoder."""
    values = [
        curve.tis(judgement.selected_epoch)
        for curve in curves
        if (curve.encoder, curve.scheme) == (unit.encoder, unit.scheme)
        and target_name(curve.dataset, curve.protocol) == judgement.target
    ]
    return ", ".join(f"{value:.3f}" for value in values if not math.isnan(value)) or "-"


def stopping_table(
    judgements: Sequence[tuple[PretrainingUnit, Sequence[Judgement]]],
    storage: Storage,
    curves: Sequence[Curve],
) -> str:
    """Return a text table, a row per pretraining and target.

    Args:
        judgements: Each pretraining with what the rule said of its targets.
        storage: Where its epochs are.
        curves: What is recorded of the downstream grid; may be empty.
    """
    rows = []
    for unit, of_targets in judgements:
        total = unit.recipe.epochs
        trained = storage.ledger.read("pretraining", unit.epoch_keys()).num_rows
        for judgement in of_targets:
            epoch = judgement.epoch
            note = "" if judgement.stopped else " (end)" if epoch == total else " (not by the rule)"
            rows.append(
                [
                    unit.name,
                    judgement.target.partition("/")[2],
                    "-" if epoch is None else f"{epoch}{note}",
                    "-" if epoch is None else total - epoch,
                    trained or "-",
                    "-" if judgement.selected_epoch is None else judgement.selected_epoch,
                    f"{judgement.score:.4f}",
                    _tis(unit, judgement, curves),
                ]
            )
    headers = ["pretraining", "target", "stop", "saved", "trained", "selected", "robustness", "TIS"]
    return tabulate(rows, headers=headers, disable_numparse=True)
