"""A picture of learning curves."""

import os
from collections.abc import Mapping, Sequence
from typing import IO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_learning_curves(
    file: str | os.PathLike[str] | IO[bytes],
    epochs: Mapping[int, Mapping[str, float]],
    panels: Sequence[Sequence[str]],
    *,
    title: str,
) -> None:
    """Write a PNG with metrics against epochs.

    Args:
        file: Where to write.
        epochs: Epoch -> metrics.
        panels: The metrics of each panel, from left to right; each is there in at least one epoch.
        title: Stands above.
    """
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, names in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name in names:
            points = [(epoch, epochs[epoch][name]) for epoch in sorted(epochs) if name in epochs[epoch]]
            axes.plot(*zip(*points, strict=True), label=name, marker=".", markersize=3)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(title, fontsize=9)
    figure.savefig(file, format="png", dpi=80)
