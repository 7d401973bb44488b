"""Figures from the ledger's answers."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from raytransfer.report.drawing import BLUE, VERMILION, epoch_ticks, new_figure, save, styled
from raytransfer.report.summary import Answer
from raytransfer.storage.files import StoragePath

DICE_COLOR, SCORE_COLOR = BLUE, VERMILION


def _draw(axes: Axes, answer: Answer) -> Axes:
    curve, epochs = answer.curve, answer.curve.epochs
    positions = list(epoch_ticks(axes, list(epochs)).values())
    axes.errorbar(
        positions, curve.performance, curve.spread,
        color=DICE_COLOR, marker="o", capsize=3, label=curve.metric,
    )  # fmt: skip
    axes.set_title(f"{curve.model}, {curve.dataset}\n{curve.scheme}, {curve.protocol}")
    axes.tick_params(axis="y", labelcolor=DICE_COLOR)
    other = axes.twinx()
    other.errorbar(
        positions, curve.scores[answer.choice], curve.standard_errors[answer.choice],
        color=SCORE_COLOR, marker="s", linestyle="--", capsize=3, label="robustness",
    )  # fmt: skip
    other.tick_params(axis="y", labelcolor=SCORE_COLOR)
    other.grid(visible=False)
    if answer.chosen is not None:
        axes.axvline(epochs.index(answer.chosen), color=SCORE_COLOR, alpha=0.2, linewidth=8, zorder=0)
    return other


def draw_answers(path: StoragePath, found: Sequence[Answer]) -> None:
    """Draw Dice and robustness against pretraining length, one panel per answer, as PNG or SVG.

    Bars are the standard deviation over seeds (Dice) and the standard error over images (robustness); the
    band marks the checkpoint that robustness chooses.

    Args:
        path: Where to write; the ending decides the format.
        found: At least one answer.
    """
    models = list(dict.fromkeys(answer.curve.model for answer in found))
    rows = list(dict.fromkeys((a.curve.dataset, a.curve.scheme, a.curve.protocol) for a in found))
    with styled():
        figure = new_figure(max(4.2 * len(models), 6), 2.7 * len(rows) + 0.5)
        panels = figure.subplots(len(rows), len(models), squeeze=False)
        for panel in panels.flat:
            panel.set_axis_off()
        for answer in found:
            curve = answer.curve
            row = rows.index((curve.dataset, curve.scheme, curve.protocol))
            column = models.index(curve.model)
            panels[row, column].set_axis_on()
            other = _draw(panels[row, column], answer)
            if column == 0:
                panels[row, column].set_ylabel(f"{curve.metric} (test)", color=DICE_COLOR)
            if column == len(models) - 1:
                other.set_ylabel("robustness", color=SCORE_COLOR)
            if row == len(rows) - 1:
                panels[row, column].set_xlabel("epochs of pretraining")
        save(figure, path)
