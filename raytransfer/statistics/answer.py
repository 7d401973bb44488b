"""The answer of a study: which checkpoint to take, how sure that is, what each strategy would have cost.

The terminal and the page both show this one computation. Everything is of the mean performance over seeds;
intervals and shares are of the bootstrap over seeds (`raytransfer.statistics.resampling`).

- Of checkpoints with equal means the shorter pretraining is the best; in a resample too.
- An untrained encoder that serves several schemes is one checkpoint.
- A strategy that takes nothing of some curve has no mean over curves: over fewer it would not compare.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.resampling import Array, Interval, interval, relative, resampled_dice
from raytransfer.statistics.selection import (
    BEST,
    LAST,
    NONE,
    PEAK,
    Strategies,
    budget_name,
    select,
    strategies,
)
from raytransfer.statistics.signals import Signal
from raytransfer.transferability.indicators.base import ScoreSpec

EQUAL = 0.025
"""A checkpoint that is the best in at least this share of resamples is not told apart from the best."""


def compared_strategies(curves: Sequence[Curve]) -> Strategies:
    """Return the strategies that the answer compares: name -> what makes a fresh rule.

    Those that follow scores first, then the last checkpoint, fixed budgets from long to short, none.
    """
    every = strategies(curves)
    recorded = sorted({epoch for curve in curves for epoch in curve.epochs})
    budgets = [budget_name(budget) for budget in reversed(recorded[:-1]) if budget > 0]
    return {name: every[name] for name in (BEST, PEAK, LAST, *budgets, NONE) if name in every}


@dataclass(frozen=True, kw_only=True)
class Selected:
    """What a strategy takes of one curve.

    Attributes:
        name: The strategy.
        epoch: The checkpoint.
        tis: Its TIS.
        range: Interval of the TIS over seeds.
        best_share: Share of resamples in which the checkpoint is the best of the curve.
        paid: Epochs of pretraining paid for.
    """

    name: str
    epoch: int
    tis: float
    range: Interval
    best_share: float
    paid: int


@dataclass(frozen=True, kw_only=True)
class CurveSummary:
    """One curve and what the seeds say about its checkpoints.

    Attributes:
        curve: The configuration.
        choice: The scores that strategies follow.
        best: Epoch with the best mean performance; the shorter pretraining of equals.
        best_share: Share of resamples in which it is the best.
        shortest_equal: Shortest pretraining that is not told apart from the best.
        selected: Strategy -> what it takes, as `compared_strategies`; without those that take nothing.
    """

    curve: Curve
    choice: ScoreSpec
    best: int
    best_share: float
    shortest_equal: int
    selected: dict[str, Selected]

    @property
    def seeds(self) -> int:
        """Fewest trainings of a checkpoint."""
        return min(map(len, self.curve.performances))

    def epoch(self, strategy: str) -> int | None:
        """Return the checkpoint that a strategy takes; None where it takes none."""
        selected = self.selected.get(strategy)
        return selected.epoch if selected else None


def _best_shares(dice: Array) -> Array:
    """Return how often each column is the best of its row (the first of equals), (E)."""
    return np.bincount(dice.argmax(axis=1), minlength=dice.shape[1]) / len(dice)


def _summary(curve: Curve, dice: Array, compared: Strategies, signal: Signal) -> CurveSummary:
    shares, tis = _best_shares(dice), relative(dice)
    best = int(np.argmax(curve.performance))
    selected = {}
    for name, rule in compared.items():
        replayed = select(curve, rule(), signal)
        if replayed is not None and (epoch := replayed.selected_epoch) is not None:
            at = curve.epochs.index(epoch)
            selected[name] = Selected(
                name=name, epoch=epoch, tis=curve.tis(epoch), range=interval(tis[:, at]),
                best_share=float(shares[at]), paid=replayed.stopped_epoch,
            )  # fmt: skip
    equal = [e for e, share in zip(curve.epochs, shares, strict=True) if share >= EQUAL]
    return CurveSummary(
        curve=curve, choice=signal.choice(curve.encoder, curve.protocol), best=curve.epochs[best],
        best_share=float(shares[best]), shortest_equal=min([curve.epochs[best], *equal]), selected=selected,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """Which checkpoint to take for a model on a dataset in a protocol.

    Attributes:
        summary: The curve whose best checkpoint is the best of all schemes.
        others: The curves of the other schemes.
        best_share: Share of resamples in which it is the best of all schemes' checkpoints.
        checkpoints: How many there are.
    """

    summary: CurveSummary
    others: tuple[CurveSummary, ...]
    best_share: float
    checkpoints: int


@dataclass(frozen=True, kw_only=True)
class StrategySummary:
    """A strategy over all curves.

    Attributes:
        name: The strategy.
        mean: Mean TIS.
        range: Interval of the mean over seeds.
        worst: Lowest TIS.
        paid: Mean epochs of pretraining paid for.
        configurations: How many curves.
        behind: Interval over seeds of its mean TIS minus that of the best strategy.
    """

    name: str
    mean: float
    range: Interval
    worst: float
    paid: float
    configurations: int
    behind: Interval

    @property
    def as_good(self) -> bool:
        """Whether the seeds do not tell it apart from the best strategy."""
        return self.behind.high >= 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study says.

    Attributes:
        signal: The scores that strategies follow.
        summaries: One per curve, by dataset, model, protocol and scheme.
        recommendations: One per dataset, model and protocol, in that order.
        strategies: The strategies, the best mean TIS first; of equals, the cheaper.
    """

    signal: Signal
    summaries: tuple[CurveSummary, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    strategies: tuple[StrategySummary, ...] = ()

    @property
    def seeds(self) -> int:
        """Fewest trainings of a checkpoint."""
        return min(summary.seeds for summary in self.summaries)

    @property
    def datasets(self) -> list[str]:
        """The target datasets."""
        return list(dict.fromkeys(summary.curve.dataset for summary in self.summaries))

    @property
    def names(self) -> list[str]:
        """The names of the strategies that take something of some curve."""
        return list(dict.fromkeys(name for summary in self.summaries for name in summary.selected))

    def of(self, curves: Sequence[Curve]) -> list[CurveSummary]:
        """Return the summaries of some curves, in their order."""
        by_curve = {id(summary.curve): summary for summary in self.summaries}
        return [by_curve[id(curve)] for curve in curves if id(curve) in by_curve]

    def strategy(self, name: str) -> StrategySummary | None:
        """Return a strategy over all curves; None where it takes nothing of some."""
        return next((strategy for strategy in self.strategies if strategy.name == name), None)


def recommend(curves: Sequence[Curve], signal: Signal) -> Answer:
    """Return the answer that recorded curves give.

    Args:
        curves: The configurations; those without the signal's scores are left out. Without any, the answer
            is empty.
        signal: The scores that strategies follow.
    """
    ordered = sorted(
        (curve for curve in curves if signal.choice(curve.encoder, curve.protocol) in curve.scores),
        key=lambda c: (c.dataset, c.model, list(PROTOCOLS).index(c.protocol), c.scheme != "simple", c.scheme),
    )
    if not ordered:
        return Answer(signal=signal)
    compared, resampled = compared_strategies(ordered), resampled_dice(ordered)
    summaries = [
        _summary(curve, dice, compared, signal) for curve, dice in zip(ordered, resampled, strict=True)
    ]
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, curve in enumerate(ordered):
        groups.setdefault((curve.dataset, curve.model, curve.protocol), []).append(i)
    return Answer(
        signal=signal,
        summaries=tuple(summaries),
        recommendations=tuple(_recommend(summaries, resampled, members) for members in groups.values()),
        strategies=tuple(_strategy_summaries(summaries, resampled, compared)),
    )


def _strategy_summaries(
    summaries: Sequence[CurveSummary], resampled: Sequence[Array], names: Iterable[str]
) -> list[StrategySummary]:
    tis = [relative(dice) for dice in resampled]
    selected, draws = {}, {}
    for name in names:
        if all(name in summary.selected for summary in summaries):
            selected[name] = [summary.selected[name] for summary in summaries]
            at = [s.curve.epochs.index(one.epoch) for s, one in zip(summaries, selected[name], strict=True)]
            draws[name] = np.mean([each[:, k] for each, k in zip(tis, at, strict=True)], axis=0)
    means = {name: float(np.mean([s.tis for s in each])) for name, each in selected.items()}
    paid = {name: float(np.mean([s.paid for s in each])) for name, each in selected.items()}
    order = sorted(draws, key=lambda name: (-means[name], paid[name]))
    return [
        StrategySummary(
            name=name, mean=means[name], range=interval(draws[name]),
            worst=min(s.tis for s in selected[name]), paid=paid[name],
            configurations=len(summaries), behind=interval(draws[name] - draws[order[0]]),
        )
        for name in order
    ]  # fmt: skip


def _recommend(
    summaries: Sequence[CurveSummary], resampled: Sequence[Array], members: Sequence[int]
) -> Recommendation:
    """Compare the checkpoints of all schemes; epoch 0 of one that another has too counts once."""
    winner = max(members, key=lambda i: max(summaries[i].curve.performance))
    columns: dict[tuple[object, ...], Array] = {}
    for i in members:
        curve = summaries[i].curve
        for k, (epoch, dice) in enumerate(zip(curve.epochs, curve.performances, strict=True)):
            columns[epoch, dice] = resampled[i][:, k]
    curve = summaries[winner].curve
    at = list(columns).index((summaries[winner].best, curve.performances[int(np.argmax(curve.performance))]))
    return Recommendation(
        summary=summaries[winner],
        others=tuple(summaries[i] for i in members if i != winner),
        best_share=float(_best_shares(np.stack(list(columns.values()), axis=1))[at]),
        checkpoints=len(columns),
    )


def answer_rows(answer: Answer) -> list[dict[str, Any]]:
    """Return one plain row per curve: what is best, what each strategy takes and costs, how sure that is."""
    rows = []
    for summary in answer.summaries:
        curve = summary.curve
        row: dict[str, Any] = {
            "dataset": curve.dataset,
            "model": curve.model,
            "protocol": curve.protocol,
            "scheme": curve.scheme,
            "seeds": summary.seeds,
            "best_epoch": summary.best,
            "best_dice": max(curve.performance),
            "best_share": summary.best_share,
            "shortest_equal_epoch": summary.shortest_equal,
        }
        for name in answer.names:
            selected, key = summary.selected.get(name), name.replace(",", "").replace(" ", "_")
            row[f"{key}_epoch"] = selected.epoch if selected else None
            row[f"{key}_tis"] = selected.tis if selected else None
            row[f"{key}_tis_low"] = selected.range.low if selected else None
            row[f"{key}_tis_high"] = selected.range.high if selected else None
            row[f"{key}_best_share"] = selected.best_share if selected else None
        rows.append(row)
    return rows


def strategy_rows(answer: Answer) -> list[dict[str, Any]]:
    """Return one plain row per strategy."""
    return [
        {
            "choice": strategy.name, "mean_tis": strategy.mean, "low": strategy.range.low,
            "high": strategy.range.high, "worst_tis": strategy.worst, "epochs": strategy.paid,
            "configurations": strategy.configurations,
            "behind_best_low": strategy.behind.low, "behind_best_high": strategy.behind.high,
        }
        for strategy in answer.strategies
    ]  # fmt: skip
