"""The thesis's figures: pretraining, performance against its length, chosen epochs, metrics."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from raytransfer.report.advice import Answers
from raytransfer.report.baselines import BEST, PEAK
from raytransfer.report.cells import Row
from raytransfer.report.drawing import (
    BLUE,
    CYCLE,
    INK,
    MARKERS,
    MUTED,
    PAPER,
    VERMILION,
    epoch_ticks,
    new_figure,
    save,
    styled,
)
from raytransfer.storage.files import StoragePath

Rows = Sequence[Mapping[str, Any]]

# On cells of their own colour, dark text and light text, which the dark page leaves alone.
_ON_LIGHT, _ON_DARK = "#101418", "#fdfdfd"
_DIVERGING = LinearSegmentedColormap.from_list("agreement", ["#a33d00", "#f5e9df", "#00527f"])


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
            of = {(r["first"], r["second"]): r["spearman"] for r in rows if r["dataset"] == dataset}
            names = [name for name, other in of if name == other and of[name, name] is not None]
            if not names:
                axes.set_axis_off()
                axes.set_title(f"{dataset}: too few trainings")
                continue
            values = [[math.nan if of[a, b] is None else of[a, b] for b in names] for a in names]
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
    series = [(key, list(of)) for key, of in groupby(rows, key=lambda row: (row["encoder"], row["scheme"]))]
    many = len({scheme for (_, scheme), _ in series}) > 1
    dots = len(series[0][1]) <= 15
    with styled():
        figure = new_figure(4.9 * len(panels) + 2.2, 3.8)
        for axes, kind in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for index, ((encoder, scheme), of) in enumerate(series):
                for name in (name for name in columns if name.endswith(kind)):
                    known = [row for row in of if not math.isnan(row[name])]
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


def _performance_panel(axes: Axes, of: Sequence[Row], epochs: list[int]) -> None:
    at = epoch_ticks(axes, epochs)
    if not any(row.measured for row in of):
        axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center", color=MUTED)
        axes.set_yticks([])
    for index, row in enumerate(of):
        points = [row.measured.get(epoch) for epoch in epochs]
        mean = [point.mean if point else math.nan for point in points]
        spread = [0.0 if point is None or math.isnan(point.spread) else point.spread for point in points]
        color, xs = CYCLE[index], [at[epoch] for epoch in epochs]
        low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
        axes.fill_between(xs, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(xs, mean, color=color, marker=MARKERS[index], label=row.key[2])
        single = [(x, dice) for x, point in zip(xs, points, strict=True) if point for dice in point.dice]
        axes.plot([x for x, _ in single], [y for _, y in single], ".", color=color, markersize=2.5, alpha=0.6)


def draw_performance(path: StoragePath, rows: Sequence[Row]) -> None:
    """Draw Dice against pretraining length: a row of panels per dataset and protocol, a column per model.

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
                of = [
                    row for row in rows if (row.key[0], row.key[1], row.key[3]) == (model, dataset, protocol)
                ]
                _performance_panel(axes, of, sorted({epoch for row in of for epoch in row.expected}))
                axes.set_title(f"{model}, {dataset}\n{protocol}")
                if k == 0:
                    axes.set_ylabel("Dice (test)")
                if i == len(lines) - 1:
                    axes.set_xlabel("epochs of pretraining")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
        save(figure, path)


def draw_chosen(path: StoragePath, answers: Answers) -> None:
    """Draw which checkpoint is best and which are chosen, a line per configuration.

    Args:
        path: Where to write; the ending decides the format.
        answers: What the curves say.
    """
    standings = list(answers.standings)[::-1]
    epochs = sorted({epoch for of in standings for epoch in of.curve.epochs})
    many = len({of.curve.scheme for of in standings}) > 1
    with styled():
        figure = new_figure(8.6, 0.27 * len(standings) + 1.3)
        axes = figure.subplots()
        at = epoch_ticks(axes, epochs)
        for y, of in enumerate(standings):
            equal = [at[e] for e in of.curve.epochs if of.shortest_equal <= e <= of.best]
            axes.plot(
                [min(equal), max(equal)], [y, y],
                color=MUTED, alpha=0.35, linewidth=5, solid_capstyle="round",
                label="from the shortest not told apart to the best" if y == 0 else None,
            )  # fmt: skip
        for name, marker, color, size, filled in (
            ("best mean Dice", "o", INK, 8, False),
            (BEST, "D", BLUE, 4.5, True),
            (PEAK, "v", VERMILION, 5, True),
        ):  # fmt: skip
            points = [
                (at[of.best if name == "best mean Dice" else of.choices[name].epoch], y)
                for y, of in enumerate(standings)
                if name == "best mean Dice" or name in of.choices
            ]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], linestyle="none", marker=marker, color=color,
                markersize=size, markerfacecolor=color if filled else "none", markeredgewidth=1.2, label=name,
            )  # fmt: skip
        axes.set_yticks(
            range(len(standings)),
            [
                f"{c.dataset}, {c.model}, {c.protocol}" + (f", {c.scheme}" if many else "")
                for c in (of.curve for of in standings)
            ],
        )
        axes.set_ylim(-0.7, len(standings) - 0.3)
        axes.set_xlabel("epochs of pretraining")
        figure.legend(loc="outside upper right", ncols=4)
        save(figure, path)
