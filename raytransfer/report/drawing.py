"""How figures look: one style, colours that colour-blind readers tell apart, text that stays text."""

import io
import re
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from raytransfer.storage.files import StoragePath, atomic_write

PAPER, INK, MUTED, GRID = "#fefefe", "#1c2128", "#667080", "#dfe3e8"
BLUE, VERMILION, GREEN = "#0069a8", "#c95200", "#00825b"
PURPLE, AMBER, SKY = "#b0588c", "#b88100", "#2f95c8"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY)
MARKERS = "osD^v<>Pp*Xhd"

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
