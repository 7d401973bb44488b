"""Figure: what rules reach against what they pay."""

from collections.abc import Sequence

import numpy as np

from raytransfer.report.drawing import CYCLE, MARKERS, MUTED, new_figure, save, styled
from raytransfer.report.replay import Rating
from raytransfer.storage.files import StoragePath


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
        fixed = sorted((of.mean_epochs, of.mean_tis) for of in line)
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
