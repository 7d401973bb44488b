"""The sections of what was measured: downstream performance, pretraining, metrics."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from raytransfer.report.agreement import agreement_rows
from raytransfer.report.cells import Row, performance_rows, ratio_rows
from raytransfer.report.page import Cell, Figure, Section, Table, missing, number, slug, words
from raytransfer.report.study_figures import draw_agreement, draw_performance, draw_pretraining
from raytransfer.results.durations import source_curves


def _grid(
    rows: Sequence[Mapping[str, Any]], down: Sequence[str], cell: Callable[[Mapping[str, Any]], Cell]
) -> tuple[list[str], list[list[Cell]]]:
    """Lay plain rows out with the columns `down` at the left and the models side by side."""
    models = sorted({row["model"] for row in rows})
    lines: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        lines.setdefault(tuple(row[name] for name in down), {})[row["model"]] = cell(row)
    body = [
        [*map(words, key), *(of.get(model, Cell(text="–")) for model in models)] for key, of in lines.items()
    ]
    return [*down, *models], body


def performance_section(rows: Sequence[Row]) -> Section:
    """Return the thesis's Tables 2.6 to 2.10 and Figure 3.1."""

    def cell(row: Mapping[str, Any]) -> Cell:
        if row["dice"] is None:
            return missing()
        spread = row["standard_deviation"]
        error = "" if math.isnan(spread) else f"± {spread:.4f}, "
        return number(row["dice"], 4, f"{error}epoch {row['epoch']}")

    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        model, dataset, _, protocol = row.key
        if 0 in row.expected:
            first.setdefault((model, dataset, protocol), row)
    scratch = [
        {k: v for k, v in row.items() if k != "scheme"}
        for row in performance_rows(list(first.values()), "scratch")
    ]
    everywhere = ("dataset", "protocol", "scheme")
    titles = {"last": "Fully pretrained", "best": "Best checkpoint", "worst": "Worst checkpoint"}
    notes = {
        "last": "The longest pretraining.",
        "best": "The checkpoint with the highest mean Dice, no pretraining included.",
        "worst": "The checkpoint with the lowest mean Dice, no pretraining included.",
    }
    measure = "Dice on the test split, mean ± standard deviation over seeds."
    tables = [
        Table(
            name=name, title=title, note=f"{note} {measure}", data=data,
            headers=(layout := _grid(data, down, cell))[0], rows=layout[1],
        )
        for name, title, note, data, down in (
            *(
                [("from_scratch", "From scratch", "Random initialisation; serves every scheme.", scratch,
                  ("dataset", "protocol"))]
                if scratch
                else []
            ),
            *(
                (f"{which}_checkpoint" if which != "last" else "fully_pretrained", titles[which],
                 notes[which], performance_rows(rows, which), everywhere)
                for which in titles
            ),
        )
    ]  # fmt: skip
    ratios = ratio_rows(rows)
    headers, body = _grid(
        ratios,
        everywhere,
        lambda row: missing() if row["worst_over_best"] is None else number(
            row["worst_over_best"], 4, f"epoch {row['worst_epoch']} / epoch {row['best_epoch']}"
        ),
    )  # fmt: skip
    tables.append(
        Table(
            name="worst_over_best", title="Worst / best checkpoint", headers=headers, rows=body, data=ratios,
            note="Mean Dice of the worst checkpoint / of the best: what a bad choice may cost.",
        )
    )  # fmt: skip
    figures = [_performance_figure(rows, dataset) for dataset in dict.fromkeys(row.key[1] for row in rows)]
    return Section(
        name="performance",
        title="Downstream performance",
        words=("The thesis’s Tables 2.6 to 2.10, and its Figure 3.1.",),
        items=(*tables, *(figure for figure in figures if figure is not None)),
    )


def _performance_figure(rows: Sequence[Row], dataset: str) -> Figure | None:
    of = [row for row in rows if row.key[1] == dataset]
    data = [
        {
            "dataset": dataset,
            "model": row.key[0],
            "scheme": row.key[2],
            "protocol": row.key[3],
            "epoch": epoch,
            "dice": point.mean if point else None,
            "standard_deviation": point.spread if point else None,
            "seeds": len(point.dice) if point else 0,
        }
        for row in of
        for epoch in row.expected
        for point in [row.measured.get(epoch)]
    ]
    if not any(row.measured for row in of):
        return None
    return Figure(
        name=f"performance_{slug(dataset)}",
        title=f"Performance against pretraining length, {dataset}",
        note="Lines: mean Dice over seeds; band: standard deviation; dots: single trainings. Each panel has "
        "its own axis. (Thesis, Figure 3.1)",
        draw=lambda path: draw_performance(path, of),
        data=data,
    )


def pretraining_section(epochs: pa.Table, trials: pa.Table) -> Section | None:
    """Return the thesis's Figure 2.3; None where nothing of pretraining is recorded.

    Args:
        epochs: The ledger's rows of pretraining; where empty, the accuracies in `trials` are drawn.
        trials: One row per downstream training.
    """
    if epochs.num_rows:
        rows = source_curves(epochs)
        note = "Solid: validation; dashed: training (with augmentation). (Thesis, Figure 2.3)"
    else:
        found = {
            (row["encoder"], row["scheme"], row["epoch"]): row["source_accuracy"]
            for row in trials.select(["encoder", "scheme", "epoch", "source_accuracy"]).to_pylist()
            if row["source_accuracy"] is not None
        }
        names = ("encoder", "scheme", "epoch", "val/top1")
        rows = [dict(zip(names, (*key, value), strict=True)) for key, value in sorted(found.items())]
        lone = {key for key in found if sum(other[:2] == key[:2] for other in found) == 1}
        rows = [row for row in rows if (row["encoder"], row["scheme"], row["epoch"]) not in lone]
        note = "Of the checkpoints; the tables hold no losses and no other epochs. (Thesis, Figure 2.3)"
    if not rows:
        return None
    figure = Figure(
        name="pretraining", title="Pretraining curves", note=note, data=rows,
        draw=lambda path: draw_pretraining(path, rows),
    )  # fmt: skip
    return Section(name="source", title="Pretraining", words=(), items=(figure,))


def metric_section(trials: pa.Table) -> Section:
    """Return the thesis's Figure 1.6."""
    rows = agreement_rows(trials)
    figure = Figure(
        name="metric_agreement",
        title="Rank correlation of segmentation metrics",
        note="Spearman’s, over all trainings of a dataset. Metrics that were not recorded for a dataset are "
        "left out; of hd95 lower is better. (Thesis, Figure 1.6)",
        draw=lambda path: draw_agreement(path, rows),
        data=rows,
    )
    return Section(name="metrics", title="Segmentation metrics", words=(), items=(figure,))
