"""Figures: one style, colours that colour-blind readers tell apart, text that stays text."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from raytransfer.statistics.answer import CurveSummary
from raytransfer.statistics.performance import Row
from raytransfer.statistics.ratings import Rating
from raytransfer.statistics.selection import BEST, PEAK
from raytransfer.storage.files import StoragePath, atomic_write

PAPER, INK, MUTED, GRID = "#fefefe", "#1c2128", "#667080", "#dfe3e8"
BLUE, VERMILION, GREEN = "#0069a8", "#c95200", "#00825b"
PURPLE, AMBER, SKY = "#b0588c", "#b88100", "#2f95c8"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY)
MARKERS = "osD^v<>Pp*Xhd"

Rows = Sequence[Mapping[str, Any]]

DICE_COLOR, SCORE_COLOR = BLUE, VERMILION

# On cells of their own colour, dark text and light text, which the dark page leaves alone.
_ON_LIGHT, _ON_DARK = "#101418", "#fdfdfd"
_DIVERGING = LinearSegmentedColormap.from_list("agreement", ["#a33d00", "#f5e9df", "#00527f"])

DARK = {
    PAPER: "#15191f", INK: "#e2e6eb", MUTED: "#98a3b1", GRID: "#323a45", BLUE: "#5db3ea",
    VERMILION: "#f28b50", GREEN: "#3fc79a", PURPLE: "#dd9cc4", AMBER: "#e3b448", SKY: "#9ad3f3",
}  # fmt: skip
"""Colour -> what stands for it on a dark page."""

STYLE: dict[str, Any] = {
    "figure.facecolor": PAPER, "savefig.facecolor": PAPER, "axes.facecolor": "none", "axes.edgecolor": MUTED,
    "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.titlesize": 9,
    "axes.labelsize": 9, "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.7, "text.color": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 8, "ytick.labelsize": 8, "xtick.major.size": 3, "ytick.major.size": 3,
    "font.size": 9, "legend.fontsize": 8, "legend.frameon": False, "lines.linewidth": 1.6,
    "lines.markersize": 4.5, "svg.fonttype": "none", "svg.hashsalt": "raytransfer", "savefig.dpi": 130,
}  # fmt: skip


def styled(**more: Any) -> AbstractContextManager[None]:
    """Set the style for the length of a `with` block; `more` has "_" for the dots of its names."""
    style: Any = {**STYLE, **{name.replace("_", "."): value for name, value in more.items()}}
    return mpl.rc_context(style)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; size in inches. Draw on it, and save it, within `styled`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: StoragePath) -> None:
    """Write a figure as PNG or SVG, by the path's ending; the same figure gives the same SVG."""
    if path.suffix != ".svg":
        atomic_write(path, lambda file: figure.savefig(file, format=path.suffix[1:]))
        return
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    # Within tags, not in what they hold: a hundredth of a point is as exact as an eye, and half the size.
    tags = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), text.getvalue())
    atomic_write(path, re.sub(r"\n\s*", "\n", tags).encode())


def epoch_ticks(axes: Axes, epochs: list[int]) -> dict[int, int]:
    """Label an axis with epochs at equal distances; return epoch -> position."""
    axes.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
    return {epoch: position for position, epoch in enumerate(epochs)}


def _draw(axes: Axes, summary: CurveSummary) -> Axes:
    curve, epochs = summary.curve, summary.curve.epochs
    positions = list(epoch_ticks(axes, list(epochs)).values())
    axes.errorbar(
        positions, curve.performance, curve.spread,
        color=DICE_COLOR, marker="o", capsize=3, label=curve.metric,
    )  # fmt: skip
    axes.set_title(f"{curve.model}, {curve.dataset}\n{curve.scheme}, {curve.protocol}")
    axes.tick_params(axis="y", labelcolor=DICE_COLOR)
    other = axes.twinx()
    other.errorbar(
        positions, curve.scores[summary.choice], curve.standard_errors[summary.choice],
        color=SCORE_COLOR, marker="s", linestyle="--", capsize=3, label="robustness",
    )  # fmt: skip
    other.tick_params(axis="y", labelcolor=SCORE_COLOR)
    other.grid(visible=False)
    chosen = summary.epoch(BEST)
    if chosen is not None:
        axes.axvline(epochs.index(chosen), color=SCORE_COLOR, alpha=0.2, linewidth=8, zorder=0)
    return other


def draw_scores(path: StoragePath, summaries: Sequence[CurveSummary]) -> None:
    """Draw performance and robustness against pretraining length, one panel per curve, as PNG or SVG.

    Bars are the standard deviation over seeds (performance) and the standard error over images (robustness);
    the band marks the checkpoint that robustness chooses.

    Args:
        path: Where to write; the ending decides the format.
        summaries: At least one.
    """
    models = list(dict.fromkeys(summary.curve.model for summary in summaries))
    curves = [summary.curve for summary in summaries]
    rows = list(dict.fromkeys((curve.dataset, curve.scheme, curve.protocol) for curve in curves))
    with styled():
        figure = new_figure(max(4.2 * len(models), 6), 2.7 * len(rows) + 0.5)
        panels = figure.subplots(len(rows), len(models), squeeze=False)
        for panel in panels.flat:
            panel.set_axis_off()
        for curve, summary in zip(curves, summaries, strict=True):
            row = rows.index((curve.dataset, curve.scheme, curve.protocol))
            column = models.index(curve.model)
            panels[row, column].set_axis_on()
            other = _draw(panels[row, column], summary)
            if column == 0:
                panels[row, column].set_ylabel(f"{curve.metric} (test)", color=DICE_COLOR)
            if column == len(models) - 1:
                other.set_ylabel("robustness", color=SCORE_COLOR)
            if row == len(rows) - 1:
                panels[row, column].set_xlabel("epochs of pretraining")
        save(figure, path)


def draw_frontier(path: StoragePath, ratings: Sequence[Rating], line: Sequence[Rating]) -> None:
    """Draw mean TIS against mean epochs paid, as PNG or SVG.

    Fixed budgets are the line to beat, straight between two of them (the axis of the epochs is logarithmic
    from 1 on); bars are the standard error over configurations.

    Args:
        path: Where to write; the ending decides the format.
        ratings: Of the rules: a labelled point each.
        line: Of the fixed budgets; at least one.
    """
    with styled():
        figure = new_figure(9.5, 5.0)
        axes = figure.subplots()
        fixed = sorted((rating.mean_epochs, rating.mean_tis) for rating in line)
        xs, ys = [x for x, _ in fixed], [y for _, y in fixed]
        dense = np.unique(np.concatenate([np.geomspace(max(xs[0], 0.1), xs[-1], 400), xs]))
        axes.plot(dense, np.interp(dense, xs, ys), color=MUTED, label="fixed budgets, in epochs")
        axes.plot(xs, ys, "o", color=MUTED, markersize=4)
        for epochs, tis in fixed:
            axes.annotate(
                f"{epochs:g}", (epochs, tis), xytext=(-3, 5), textcoords="offset points",
                ha="right", fontsize=7, color=MUTED,
            )  # fmt: skip
        for index, rating in enumerate(ratings):
            axes.errorbar(
                rating.mean_epochs, rating.mean_tis, rating.standard_error, capsize=3, linestyle="none",
                marker=MARKERS[index % len(MARKERS)], markerfacecolor="none", markersize=8, elinewidth=0.8,
                color=CYCLE[index % len(CYCLE)], label=rating.rule,
            )  # fmt: skip
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)
        axes.set_xlim(left=0)
        ticks = [x for x in (0, 1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000) if x <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [str(x) for x in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("mean epochs of pretraining paid, each configuration on its own")
        axes.set_ylabel("mean transferability indicator score")
        figure.legend(loc="outside right upper")
        save(figure, path)


def draw_agreement(path: StoragePath, rows: Rows) -> None:
    """Draw the rank correlation of every two metrics, a panel per dataset; metrics with none are left out.

    Args:
        path: Where to write; the ending decides the format.
        rows: Of `agreement_rows`.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    with styled(axes_grid=False, axes_spines_left=False, axes_spines_bottom=False):
        figure = new_figure(4.9 * len(datasets) + 0.6, 4.6)
        for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
            correlation = {(r["first"], r["second"]): r["spearman"] for r in rows if r["dataset"] == dataset}
            names = [
                name for name, other in correlation if name == other and correlation[name, name] is not None
            ]
            if not names:
                axes.set_axis_off()
                axes.set_title(f"{dataset}: too few trainings")
                continue
            values = [
                [math.nan if correlation[a, b] is None else correlation[a, b] for b in names] for a in names
            ]
            axes.pcolormesh(values, cmap=_DIVERGING, vmin=-1, vmax=1, edgecolors=PAPER, linewidth=1)
            for i, line in enumerate(values):
                for k, value in enumerate(line):
                    if not math.isnan(value):
                        axes.text(
                            k + 0.5, i + 0.5, f"{value:.2f}".replace("-", "−"), ha="center", va="center",
                            fontsize=7, color=_ON_DARK if abs(value) > 0.6 else _ON_LIGHT,
                        )  # fmt: skip
            labels = [name.replace("_", " ") for name in names]
            at = [i + 0.5 for i in range(len(names))]
            axes.set_xticks(at, labels, rotation=45, ha="right", rotation_mode="anchor")
            axes.set_yticks(at, labels)
            axes.tick_params(length=0)
            axes.invert_yaxis()
            axes.set_aspect("equal")
            axes.set_title(dataset)
        save(figure, path)


def draw_pretraining(path: StoragePath, rows: Rows) -> None:
    """Draw loss and accuracy on the source data against epochs, a panel each, a line per pretraining.

    Args:
        path: Where to write; the ending decides the format.
        rows: With "encoder", "scheme", "epoch" and columns of `<split>/loss` and `<split>/top1`; "train" is
            drawn dashed.
    """
    columns = [name for name in rows[0] if name.endswith(("/loss", "/top1"))]
    panels = [kind for kind in ("loss", "top1") if any(name.endswith(kind) for name in columns)]
    series = [
        (key, list(epochs)) for key, epochs in groupby(rows, key=lambda row: (row["encoder"], row["scheme"]))
    ]
    many = len({scheme for (_, scheme), _ in series}) > 1
    dots = len(series[0][1]) <= 15
    with styled():
        figure = new_figure(4.9 * len(panels) + 2.2, 3.8)
        for axes, kind in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for index, ((encoder, scheme), epochs) in enumerate(series):
                for name in (name for name in columns if name.endswith(kind)):
                    known = [row for row in epochs if not math.isnan(row[name])]
                    train = name.startswith("train")
                    axes.plot(
                        [row["epoch"] for row in known], [row[name] for row in known],
                        color=CYCLE[index % len(CYCLE)], linestyle="--" if train else "-",
                        linewidth=1.0 if train else 1.6,
                        marker=MARKERS[index % len(MARKERS)] if dots and not train else None,
                        label=None if train else f"{encoder} {scheme}" if many else encoder,
                    )  # fmt: skip
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("epochs of pretraining")
            axes.set_ylabel("loss" if kind == "loss" else "top-1 accuracy on the source data")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper")
        save(figure, path)


def _performance_panel(axes: Axes, rows: Sequence[Row], epochs: list[int]) -> None:
    at = epoch_ticks(axes, epochs)
    if not any(row.measured for row in rows):
        axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center", color=MUTED)
        axes.set_yticks([])
    for index, row in enumerate(rows):
        points = [row.measured.get(epoch) for epoch in epochs]
        mean = [point.mean if point else math.nan for point in points]
        spread = [0.0 if point is None or math.isnan(point.spread) else point.spread for point in points]
        color, xs = CYCLE[index], [at[epoch] for epoch in epochs]
        low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
        axes.fill_between(xs, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(xs, mean, color=color, marker=MARKERS[index], label=row.key[2])
        single = [(x, dice) for x, point in zip(xs, points, strict=True) if point for dice in point.values]
        axes.plot([x for x, _ in single], [y for _, y in single], ".", color=color, markersize=2.5, alpha=0.6)


def draw_performance(path: StoragePath, rows: Sequence[Row]) -> None:
    """Draw performance against pretraining length: a row per dataset and protocol, a column per model.

    Lines are means over seeds, one per scheme; the band is the standard deviation, dots are single trainings.
    Checkpoints whose trainings are missing are gaps.

    Args:
        path: Where to write; the ending decides the format.
        rows: Of `performance`, at least one.
    """
    models = sorted({row.key[0] for row in rows})
    lines = list(dict.fromkeys((row.key[1], row.key[3]) for row in rows))
    with styled():
        figure = new_figure(max(3.9 * len(models), 6), 2.6 * len(lines) + 0.5)
        panels = figure.subplots(len(lines), len(models), squeeze=False)
        for i, (dataset, protocol) in enumerate(lines):
            for k, model in enumerate(models):
                axes = panels[i, k]
                of_panel = [
                    row for row in rows if (row.key[0], row.key[1], row.key[3]) == (model, dataset, protocol)
                ]
                _performance_panel(
                    axes, of_panel, sorted({epoch for row in of_panel for epoch in row.expected})
                )
                axes.set_title(f"{model}, {dataset}\n{protocol}")
                if k == 0:
                    axes.set_ylabel("performance (test)")
                if i == len(lines) - 1:
                    axes.set_xlabel("epochs of pretraining")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
        save(figure, path)


def draw_chosen(path: StoragePath, summaries: Sequence[CurveSummary]) -> None:
    """Draw which checkpoint is best and which are chosen, a line per configuration.

    Args:
        path: Where to write; the ending decides the format.
        summaries: What the curves say, from top to bottom.
    """
    lines = list(summaries)[::-1]
    epochs = sorted({epoch for summary in lines for epoch in summary.curve.epochs})
    many = len({summary.curve.scheme for summary in lines}) > 1
    with styled():
        figure = new_figure(8.6, 0.27 * len(lines) + 1.3)
        axes = figure.subplots()
        at = epoch_ticks(axes, epochs)
        for y, summary in enumerate(lines):
            equal = [at[e] for e in summary.curve.epochs if summary.shortest_equal <= e <= summary.best]
            axes.plot(
                [min(equal), max(equal)], [y, y],
                color=MUTED, alpha=0.35, linewidth=5, solid_capstyle="round",
                label="from the shortest not told apart to the best" if y == 0 else None,
            )  # fmt: skip
        for name, marker, color, size, filled in (
            ("best mean performance", "o", INK, 8, False),
            (BEST, "D", BLUE, 4.5, True),
            (PEAK, "v", VERMILION, 5, True),
        ):  # fmt: skip
            points = [
                (at[summary.best if name == "best mean performance" else summary.selected[name].epoch], y)
                for y, summary in enumerate(lines)
                if name == "best mean performance" or name in summary.selected
            ]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], linestyle="none", marker=marker, color=color,
                markersize=size, markerfacecolor=color if filled else "none", markeredgewidth=1.2, label=name,
            )  # fmt: skip
        axes.set_yticks(
            range(len(lines)),
            [
                f"{c.dataset}, {c.model}, {c.protocol}" + (f", {c.scheme}" if many else "")
                for c in (summary.curve for summary in lines)
            ],
        )
        axes.set_ylim(-0.7, len(lines) - 0.3)
        axes.set_xlabel("epochs of pretraining")
        figure.legend(loc="outside upper right", ncols=4)
        save(figure, path)
