"""The sections of the page: what was measured, indicators, stopping, parameters."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.report.figures import (
    draw_agreement,
    draw_chosen,
    draw_frontier,
    draw_performance,
    draw_pretraining,
    draw_scores,
)
from raytransfer.report.page import Cell, Figure, Section, Table, missing, number, slug, words
from raytransfer.results.durations import source_curves
from raytransfer.scheduling.plateau import Plateau
from raytransfer.statistics.ablation import METHODS, Method, choice_rows, parameter_rows
from raytransfer.statistics.agreement import agreement_rows
from raytransfer.statistics.answer import Answer
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.performance import Row, performance_rows, ratio_rows
from raytransfer.statistics.ratings import Rating, rating_rows
from raytransfer.statistics.selection import ALL, BEST, accuracy_rows, rule_rows
from raytransfer.statistics.signals import Signal
from raytransfer.thesis.findings import DECISIVE, TOLERANCE, finding_rows, findings
from raytransfer.thesis.printed import side_by_side, why_they_differ

CONFIGURATION = ("dataset", "model", "protocol", "scheme")
ERROR_OVER = "The small numbers are the standard error over configurations and the worst of them"


Expected = Mapping[tuple[str, str], int]
"""(dataset or model, protocol), ("all", "all") last -> configurations of a complete study."""


def _expected(rows: Sequence[Row], by: str) -> Expected:
    """Return the groups of configurations that means are taken over, the whole last."""
    position = ("model", "dataset").index(by)
    order = list(PROTOCOLS)
    keys = sorted((row.key[position], order.index(row.key[3])) for row in rows)
    return {**Counter((name, order[protocol]) for name, protocol in keys), (ALL, ALL): len(rows)}


def _statistics(row: Mapping[str, Any] | None, expected: int) -> Cell:
    """Return the cell of a mean over configurations that a complete study has so many of."""
    if row is None:
        return missing()
    error = "" if math.isnan(row["standard_error"]) else f"± {row['standard_error']:.4f}, "
    count = row["configurations"]
    part = f", {count} of {expected}" if count < expected else ""
    return number(row["mean"], 4, f"{error}worst {row['worst']:.4f}{part}")


def _group_name(key: tuple[str, str]) -> str:
    return "all" if key[0] == ALL else f"{key[0]}, {key[1]}"


def _indicator_table(curves: Sequence[Curve], signal: Signal, expected: Expected, by: str) -> Table:
    data = [*rule_rows(curves, signal, by=by), *accuracy_rows(curves, by=by)]
    lines: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in data:
        lines.setdefault(row["rule"], {})[row[by], row["protocol"]] = row
    body = [
        [
            words(rule),
            *(_statistics(of_rule.get(key), count) for key, count in expected.items()),
            number(of_rule[ALL, ALL]["epochs"], 1),
        ]
        for rule, of_rule in lines.items()
    ]
    return Table(
        name=f"indicators_by_{by}",
        title=f"TIS of indicators and baselines by {by}",
        note=f"Mean over configurations. {ERROR_OVER}. Epochs: of pretraining, paid for on average over all. "
        "(Thesis, Table 4.1)",
        headers=("choice", *map(_group_name, expected), "epochs paid"),
        rows=body,
        data=data,
    )


def indicator_section(
    curves: Sequence[Curve], rows: Sequence[Row], answer: Answer, *, published: bool
) -> Section:
    """Return the thesis's Table 4.1 and Figures 4.1 and 4.2.

    Args:
        curves: Those that are complete.
        rows: Of `performance`, complete or not.
        answer: Of the curves.
        published: Whether the curves are the thesis's, and its own numbers are shown beside them.
    """
    by_dataset, by_model = (
        _indicator_table(curves, answer.signal, _expected(rows, by), by) for by in ("dataset", "model")
    )
    items: list[Table | Figure] = [by_dataset, by_model]
    compared = side_by_side(by_dataset.data) if published else []
    if compared:
        items.insert(1, _thesis_table(curves, compared))
    items += [_scores_figure(answer, dataset) for dataset in answer.datasets]
    items.append(
        Figure(
            name="chosen_epochs",
            title="Chosen epochs",
            note="One line per configuration. The bar runs from the shortest pretraining that is not told "
            "apart from the best to the best. (Thesis, Figure 4.2)",
            draw=lambda path: draw_chosen(path, answer.summaries),
            data=[
                {
                    **{name: getattr(summary.curve, name) for name in CONFIGURATION},
                    "best": summary.best, "shortest_equal": summary.shortest_equal,
                    **{name: summary.epoch(name) for name in answer.names},
                }
                for summary in answer.summaries
            ],
        )
    )  # fmt: skip
    return Section(
        name="indicators",
        title="What indicators choose",
        words=(
            f"Robustness here is {answer.signal}: distance, margin of the hinge, encoder level (from the "
            "end), and the protocols in which representations are averaged over space. Higher is better.",
        ),
        items=items,
    )


def _thesis_table(curves: Sequence[Curve], compared: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        name="imagenet_accuracy",
        title="“ImageNet accuracy”, as printed and as recomputed",
        note=why_they_differ(curves),
        headers=("dataset", "protocol", "thesis, Table 4.1", "highest accuracy", "last checkpoint"),
        rows=[
            [
                words(row["dataset"]), words(row["protocol"]), number(row["thesis_imagenet_accuracy"], 3),
                number(row["recomputed_best_source_accuracy"]), number(row["recomputed_last_checkpoint"]),
            ]
            for row in compared
        ],
        data=compared,
    )  # fmt: skip


def _scores_figure(answer: Answer, dataset: str) -> Figure:
    summaries = [summary for summary in answer.summaries if summary.curve.dataset == dataset]
    data = [
        {
            "dataset": dataset,
            "model": summary.curve.model,
            "scheme": summary.curve.scheme,
            "protocol": summary.curve.protocol,
            "epoch": epoch,
            "dice": dice,
            "standard_deviation": spread,
            "robustness": score,
            "standard_error": error,
            "chosen": epoch == summary.epoch(BEST),
        }
        for summary in summaries
        for epoch, dice, spread, score, error in zip(
            summary.curve.epochs,
            summary.curve.performance,
            summary.curve.spread,
            summary.curve.scores[summary.choice],
            summary.curve.standard_errors[summary.choice],
            strict=True,
        )
    ]
    return Figure(
        name=f"scores_{slug(dataset)}",
        title=f"Performance and robustness against pretraining length, {dataset}",
        note="Blue: Dice, bars are the standard deviation over seeds. Orange: robustness of the same "
        "checkpoint, bars are the standard error over images where recorded. The band marks the checkpoint "
        "with the highest score, epoch 0 left out. (Thesis, Figure 4.1)",
        draw=lambda path: draw_scores(path, summaries),
        data=data,
    )


PLATEAU_NOTE = (
    "Beware: “plateau” on {signal} was found on the very tables that the thesis published, so its position "
    "among the rules on those is flattering. Chosen on one of their two data sets and judged on the other, "
    "the gain over fixed budgets of the same epochs is +0.0052 (chosen on ACDC, judged on COVID-QU-Ex) and "
    "+0.0047 (the other way round)."
)


def stopping_section(ratings: Sequence[Rating], line: Sequence[Rating], unit: str) -> Section:
    """Return the stopping frontier and its table."""
    data = rating_rows([*line, *ratings], line, unit)
    plateau = any(rating.rule.startswith(Plateau.name) for rating in ratings)
    places = {"mean_epochs": 1, "shared_mean_epochs": 1, f"worker_{unit}s": 1, f"makespan_{unit}s": 1}
    if unit == "hour":
        places |= {"worker_hours": 3, "makespan_hours": 3}
    return Section(
        name="stopping",
        title="Stopping pretraining early",
        words=(
            "What rules would have cost and reached, replayed on the recorded curves. A rule is worth its "
            "trouble where it lies above the line of fixed budgets, which need no scores.",
            *([PLATEAU_NOTE.format(signal=Plateau.signal)] if plateau else []),
        ),
        items=(
            Figure(
                name="frontier",
                title="The stopping frontier",
                note="Bars: standard error over configurations. Each configuration on its own.",
                draw=lambda path: draw_frontier(path, ratings, line),
                data=data,
            ),
            Table(
                name="stopping_rules",
                title="Stopping rules",
                note="Over fixed: mean TIS minus that of fixed budgets of the same mean epochs. Shared: a "
                "pretraining goes on until the last of its targets stops.",
                headers=(
                    "rule", "mean TIS", "worst", "s.e.", "epochs", "over fixed", "shared: TIS",
                    "shared: epochs", f"worker-{unit}s", f"makespan ({unit}s)",
                ),
                rows=[
                    [
                        words(value) if isinstance(value, str) else number(value, places.get(name, 4))
                        for name, value in row.items()
                    ]
                    for row in data
                ],
                data=data,
            ),
        ),
    )  # fmt: skip


def _methods_table(
    data: Sequence[Mapping[str, Any]], names: Sequence[str], expected: Expected
) -> tuple[list[str], list[list[Cell]]]:
    """Lay ablation rows out: a line per parameter setting, a column per method and group."""
    columns = [(method, (ALL, ALL)) for method in METHODS] + [
        (method, key) for method in METHODS[:2] for key in expected if key[0] != ALL
    ]
    lines: dict[tuple[Any, ...], dict[tuple[Method, tuple[str, str]], Mapping[str, Any]]] = {}
    for row in data:
        method = Method(row["method"], row["grace_period"])
        setting = tuple(row[name] for name in names)
        lines.setdefault(setting, {})[method, (row["dataset"], row["protocol"])] = row
    body = []
    for setting, of_setting in lines.items():
        shown = ["yes" if v is True else "no" if v is False else v for v in setting]
        count = of_setting[METHODS[0], (ALL, ALL)]["configurations"]
        cells = (_statistics(of_setting.get(column), 0) for column in columns)
        body.append([*map(words, shown), words(count), *cells])
    headers = [str(method) if key[0] == ALL else f"{method}: {_group_name(key)}" for method, key in columns]
    return [*names, "n", *headers], body


def parameter_section(curves: Sequence[Curve], rows: Sequence[Row]) -> Section:
    """Return the thesis's Tables 4.2 to 4.4 and its findings.

    Args:
        curves: Those that are complete.
        rows: Of `performance`, complete or not.
    """
    varied, every = parameter_rows(curves), choice_rows(curves)
    claims = findings(curves)
    items: list[Table | Figure] = []
    for name, title, data, names, note in (
        (
            "parameters", "One parameter varied", varied, ("parameter", "value"),
            "The others are cosine, margin 0.5, level −2, pooled for frozen.",
        ),
        (
            "choices", "Every parameter choice", every, ("distance", "margin", "level", "pooled"),
            "The best of so many looks better than it is.",
        ),
    ):  # fmt: skip
        headers, body = _methods_table(data, names, _expected(rows, "dataset"))
        items.append(
            Table(
                name=name, title=title, headers=headers, rows=body, data=data,
                note=f"{note} TIS by the best score of all (offline) and by the first peak (online), mean "
                f"over n configurations. {ERROR_OVER}. Levels count from the deepest, −1. (Thesis, Tables "
                "4.2 to 4.4)",
            )
        )  # fmt: skip
    if varied:
        items.append(
            Table(
                name="findings",
                title="The thesis’s findings on the parameters",
                note=f"Mean paired difference in TIS ± standard error over configurations. Better: by more "
                f"than {DECISIVE:g} standard errors; equally good: within {TOLERANCE:g}, {DECISIVE:g} "
                "standard errors included.",
                headers=("finding", "method", "verdict", "comparisons"),
                rows=[
                    [
                        words(f"{finding.number}. {finding.claim}"), words(method),
                        words(finding.verdict(method)),
                        words("\n".join(
                            f"{c.name}: {c.difference:+.4f}"
                            + ("" if math.isnan(c.standard_error) else f" ± {c.standard_error:.4f}")
                            + f" (n={c.configurations})"
                            for c in comparisons
                            if c.configurations
                        ) or "no scores to compare"),
                    ]
                    for finding in claims
                    for method, comparisons in finding.comparisons.items()
                ],
                data=finding_rows(claims),
            )
        )  # fmt: skip
    return Section(name="parameters_of_robustness", title="Parameters of robustness", words=(), items=items)


def _grid(
    rows: Sequence[Mapping[str, Any]], down: Sequence[str], cell: Callable[[Mapping[str, Any]], Cell]
) -> tuple[list[str], list[list[Cell]]]:
    """Lay plain rows out with the columns `down` at the left and the models side by side."""
    models = sorted({row["model"] for row in rows})
    lines: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        lines.setdefault(tuple(row[name] for name in down), {})[row["model"]] = cell(row)
    body = [
        [*map(words, key), *(of_line.get(model, Cell(text="–")) for model in models)]
        for key, of_line in lines.items()
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
    of_dataset = [row for row in rows if row.key[1] == dataset]
    data = [
        {
            "dataset": dataset,
            "model": row.key[0],
            "scheme": row.key[2],
            "protocol": row.key[3],
            "epoch": epoch,
            "dice": point.mean if point else None,
            "standard_deviation": point.spread if point else None,
            "seeds": len(point.values) if point else 0,
        }
        for row in of_dataset
        for epoch in row.expected
        for point in [row.measured.get(epoch)]
    ]
    if not any(row.measured for row in of_dataset):
        return None
    return Figure(
        name=f"performance_{slug(dataset)}",
        title=f"Performance against pretraining length, {dataset}",
        note="Lines: mean Dice over seeds; band: standard deviation; dots: single trainings. Each panel has "
        "its own axis. (Thesis, Figure 3.1)",
        draw=lambda path: draw_performance(path, of_dataset),
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
        accuracy = {
            (row["encoder"], row["scheme"], row["epoch"]): row["source_accuracy"]
            for row in trials.select(["encoder", "scheme", "epoch", "source_accuracy"]).to_pylist()
            if row["source_accuracy"] is not None
        }
        names = ("encoder", "scheme", "epoch", "val/top1")
        rows = [dict(zip(names, (*key, value), strict=True)) for key, value in sorted(accuracy.items())]
        lone = {key for key in accuracy if sum(other[:2] == key[:2] for other in accuracy) == 1}
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
    rows = agreement_rows(trials.to_pylist())
    figure = Figure(
        name="metric_agreement",
        title="Rank correlation of segmentation metrics",
        note="Spearman’s, over all trainings of a dataset. Metrics that were not recorded for a dataset are "
        "left out; of hd95 lower is better. (Thesis, Figure 1.6)",
        draw=lambda path: draw_agreement(path, rows),
        data=rows,
    )
    return Section(name="metrics", title="Segmentation metrics", words=(), items=(figure,))
