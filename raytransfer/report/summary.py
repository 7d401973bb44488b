"""The answer of a study: which checkpoint to take, from the ledger alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from raytransfer.results.curves import Curve, curves, recorded
from raytransfer.results.ledger import Ledger
from raytransfer.results.signals import Signal
from raytransfer.results.units import DownstreamUnit, ScoringUnit
from raytransfer.scheduling.replay import replay
from raytransfer.scheduling.rules import BestOfAll, FirstPeak
from raytransfer.transferability.indicators.base import ScoreSpec


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the indicator, with one choice of its parameters, says about a recorded curve.

    Attributes:
        curve: Scores and downstream performance of a pretraining's checkpoints.
        signal: The scores that choose; the curve has them.
    """

    curve: Curve
    signal: Signal

    @property
    def choice(self) -> ScoreSpec:
        """The indicator's parameters for this curve."""
        return self.signal.choice(self.curve.encoder, self.curve.protocol)

    @property
    def best(self) -> int:
        """Epoch with the best mean Dice."""
        return self.curve.epochs[self.curve.dice.index(max(self.curve.dice))]

    @property
    def last(self) -> int:
        """Epoch of the longest pretraining."""
        return self.curve.epochs[-1]

    @property
    def chosen(self) -> int | None:
        """Epoch with the best robustness, the untrained encoder left out as in the thesis."""
        return replay(BestOfAll(), self.curve.points(self.choice)).selected_epoch

    @property
    def first_peak(self) -> int | None:
        """Epoch of the first peak of robustness: the thesis's online rule."""
        return replay(FirstPeak(), self.curve.points(self.choice)).selected_epoch


def answers(
    ledger: Ledger, scorings: Sequence[ScoringUnit], trials: Sequence[DownstreamUnit]
) -> list[Answer]:
    """Return one answer per configuration whose trials and scores are all in the ledger.

    Robustness has the parameters of the study's settings. Trials of epoch 0 count for every scheme.

    Args:
        ledger: The results.
        scorings: Scorings of the study.
        trials: Downstream trials of the study.
    """
    found = curves(*recorded(ledger, scorings, trials))
    signal = Signal.of_study(trials[0].study.robustness)
    asked = [Answer(curve=curve, signal=signal) for curve in found]
    return [answer for answer in asked if answer.choice in answer.curve.scores]


def _labels(found: Sequence[Answer]) -> list[str]:
    """Return which of an answer's names to show: the model, the protocol, and what else varies."""
    names = ("model", "dataset", "scheme", "protocol")
    return [n for n in names if n in ("model", "protocol") or len({getattr(a.curve, n) for a in found}) > 1]


def _with_error(value: float, error: float) -> str:
    return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"


def checkpoint_table(found: Sequence[Answer]) -> str:
    """Return a text table: Dice and robustness of every checkpoint, per model and protocol."""
    epochs = sorted({epoch for answer in found for epoch in answer.curve.epochs})
    labels = _labels(found)
    rows = []
    for answer in found:
        curve, choice = answer.curve, answer.choice
        names = [getattr(curve, name) for name in labels]
        for title, values, errors in (
            ("Dice", curve.dice, curve.spread),
            ("robustness", curve.scores[choice], curve.standard_errors[choice]),
        ):
            cells = dict(zip(curve.epochs, map(_with_error, values, errors), strict=True))
            rows.append([*names, title, *(cells.get(epoch, "") for epoch in epochs)])
            names = [""] * len(labels)
    headers = [*labels, "", *(f"epoch {epoch}" for epoch in epochs)]
    return tabulate(rows, headers=headers, disable_numparse=True)


def answer_table(found: Sequence[Answer]) -> str:
    """Return a text table: what robustness chooses and what that costs, beside the simple choices."""
    labels = _labels(found)
    rows = []
    for answer in found:
        curve = answer.curve
        untrained = 0 if 0 in curve.epochs else None
        row = [*(getattr(curve, name) for name in labels), f"epoch {answer.best}"]
        for epoch in (answer.chosen, answer.first_peak, answer.last, untrained):
            cell = "-" if epoch is None else f"{curve.tis(epoch):.3f}"
            row.append(cell if epoch in (untrained, None) else f"{cell}  (epoch {epoch})")
        rows.append(row)
    if len(found) > 1:
        means = [
            np.mean([answer.curve.tis(choose(answer)) for answer in found])
            for choose in (
                lambda a: a.chosen, lambda a: a.first_peak, lambda a: a.last, lambda a: 0
            )
        ]  # fmt: skip
        rows.append(["mean", *("" for _ in labels), *("-" if math.isnan(m) else f"{m:.3f}" for m in means)])
    headers = [*labels, "best", "robustness", "first peak", "last checkpoint", "random init."]
    return tabulate(rows, headers=headers, disable_numparse=True)


def summary(found: Sequence[Answer]) -> str:
    """Return the end of a study as text: both tables and how to read them."""
    seeds = len(found[0].curve.performances[0])
    return "\n".join(
        [
            f"Downstream Dice on the test split (mean{' ± standard deviation' if seeds > 1 else ''} over "
            f"{seeds} seed{'s' if seeds > 1 else ''}) and robustness (± standard error over images)",
            checkpoint_table(found),
            "",
            "Transferability indicator score: Dice of the chosen checkpoint / Dice of the best one",
            answer_table(found),
            "robustness: highest score among pretrained checkpoints; first peak: where it first falls;",
            f"scores: {found[0].signal}",
        ]
    )
