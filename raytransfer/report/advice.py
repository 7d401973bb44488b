"""The answer: which checkpoint to take, how sure that is, what it costs, what simple choices would give."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.report.baselines import BEST, LAST, NONE, PEAK
from raytransfer.report.choosing import select
from raytransfer.report.confidence import Array, Interval, interval, relative, resampled_dice
from raytransfer.results.curves import Curve
from raytransfer.results.signals import Signal
from raytransfer.scheduling.rules import BestOfAll, FirstPeak, FixedBudget, StoppingRule

EQUAL = 0.025
"""A checkpoint that is the best in at least this share of resamples is not told apart from the best."""
BUDGETS = (0.1, 0.5)
"""Fixed budgets that the words name, as shares of the longest pretraining."""


def percent(share: float) -> str:
    """Return a share as text."""
    if share > 0.99:
        return "over 99\u00a0%"
    return "under 1\u00a0%" if share < 0.01 else f"{100 * share:.0f}\u00a0%"


def cost(tis: float) -> str:
    """Return what a TIS loses against the best checkpoint, as text."""
    return "nothing" if tis > 0.99995 else f"{100 * (1 - tis):.2f}\u00a0%"


def _cost_between(tis: Interval) -> str:
    return f"{100 * (1 - tis.high):.2f} to {100 * (1 - tis.low):.2f}\u00a0%"


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def epochs(number: float) -> str:
    """Return a number of epochs as text."""
    return _counted(number, "epoch")


def named_budgets(curves: Sequence[Curve]) -> list[int]:
    """Return the longest recorded pretrainings within `BUDGETS`, ascending."""
    recorded = sorted({epoch for curve in curves for epoch in curve.epochs if epoch > 0})
    found = (max((e for e in recorded if e <= share * recorded[-1]), default=None) for share in BUDGETS)
    return sorted({epoch for epoch in found if epoch is not None})


def _budget_name(budget: int) -> str:
    return f"fixed at {budget}"


Ways = dict[str, Callable[[], StoppingRule]]


def _fixed(budget: int) -> Callable[[], StoppingRule]:
    return lambda: FixedBudget(budget)


def ways(curves: Sequence[Curve]) -> Ways:
    """Return the ways to choose that the answer compares: name -> what makes a fresh rule."""
    recorded = sorted({epoch for curve in curves for epoch in curve.epochs})
    return {
        BEST: BestOfAll,
        PEAK: FirstPeak,
        LAST: _fixed(recorded[-1]),
        **{_budget_name(budget): _fixed(budget) for budget in reversed(recorded[:-1]) if budget > 0},
        **({NONE: _fixed(0)} if recorded[0] == 0 else {}),
    }


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """What a way of choosing takes of one curve.

    Attributes:
        name: The way.
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
class Standing:
    """One curve and what the seeds say about its checkpoints.

    Attributes:
        curve: The configuration.
        best: Epoch with the best mean Dice; the shorter pretraining of equals.
        best_share: Share of resamples in which it is the best.
        shortest_equal: Shortest pretraining that is not told apart from the best.
        choices: By name, in the order of `ways`; without those that take nothing.
    """

    curve: Curve
    best: int
    best_share: float
    shortest_equal: int
    choices: dict[str, Choosing]

    @property
    def seeds(self) -> int:
        """Fewest trainings of a checkpoint."""
        return min(map(len, self.curve.performances))

    def dice(self, epoch: int) -> str:
        """Return a checkpoint's performance as text."""
        position = self.curve.epochs.index(epoch)
        spread = self.curve.spread[position]
        return f"{self.curve.performance[position]:.4f}" + ("" if math.isnan(spread) else f" ± {spread:.4f}")


def _best_shares(dice: Array) -> Array:
    """Return how often each column is the best of its row (the first of equals), (E)."""
    return np.bincount(dice.argmax(axis=1), minlength=dice.shape[1]) / len(dice)


def _standing(curve: Curve, dice: Array, among: Ways, signal: Signal) -> Standing:
    shares, tis = _best_shares(dice), relative(dice)
    best = int(np.argmax(curve.performance))
    choices = {}
    for name, rule in among.items():
        seen = select(curve, rule(), signal)
        if seen is not None and seen.selected_epoch is not None:
            at = curve.epochs.index(seen.selected_epoch)
            choices[name] = Choosing(
                name=name, epoch=seen.selected_epoch, tis=curve.tis(seen.selected_epoch),
                range=interval(tis[:, at]), best_share=float(shares[at]), paid=seen.stopped_epoch,
            )  # fmt: skip
    equal = [e for e, share in zip(curve.epochs, shares, strict=True) if share >= EQUAL]
    return Standing(
        curve=curve, best=curve.epochs[best], best_share=float(shares[best]),
        shortest_equal=min([curve.epochs[best], *equal]), choices=choices,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Which checkpoint to take for a model on a dataset in a protocol.

    Attributes:
        standing: The curve whose best checkpoint is the best of all schemes.
        others: The curves of the other schemes.
        best_share: Share of resamples in which it is the best of all schemes' checkpoints.
        checkpoints: How many there are.
    """

    standing: Standing
    others: tuple[Standing, ...]
    best_share: float
    checkpoints: int

    @property
    def title(self) -> str:
        """Model and protocol."""
        curve = self.standing.curve
        return f"{curve.model}, {'full training' if curve.protocol == 'fine_tuning' else 'decoder only'}"

    @property
    def take(self) -> str:
        """The checkpoint."""
        if self.standing.best == 0:
            return "the untrained encoder"
        scheme = f" ({self.standing.curve.scheme})" if self.others else ""
        return f"epoch {self.standing.best}{scheme}"

    @property
    def why(self) -> str:
        """How good it is and how sure that is."""
        of, seeds = self.standing, self.standing.seeds
        text = f"mean {of.curve.metric} {of.dice(of.best)} over {_counted(seeds, 'seed')}"
        if seeds == 1:
            return f"{text}; how sure that is one seed cannot say."
        text += (
            f", the best of {self.checkpoints} checkpoints in {percent(self.best_share)} of resamples of "
            "the seeds"
        )
        if of.shortest_equal < of.best:
            shorter = "no pretraining" if of.shortest_equal == 0 else epochs(of.shortest_equal)
            cheaper = cost(of.curve.tis(of.shortest_equal))
            text += f"; {shorter} cannot be told apart from it (costs {cheaper})"
        return text + "."

    @property
    def indicator(self) -> str:
        """What robustness would have taken, without a single downstream training."""
        chosen = self.standing.choices.get(BEST)
        if chosen is None:
            return "Robustness has no scores here."
        if chosen.epoch == self.standing.best:
            return f"Robustness takes the same one (epoch {chosen.epoch}) without any downstream training."
        sure = f", {_cost_between(chosen.range)} over the seeds" if self.standing.seeds > 1 else ""
        metric = self.standing.curve.metric
        return f"Robustness takes epoch {chosen.epoch}, which costs {cost(chosen.tis)} of the {metric}{sure}."

    @property
    def baselines(self) -> list[tuple[str, str]]:
        """What simpler choices cost, and the best of the other schemes: (what, cost)."""
        named = {PEAK, LAST, NONE, *map(_budget_name, named_budgets([self.standing.curve]))}
        found = [
            (f"{name} (epoch {of.epoch})" if name in (PEAK, LAST) else name, cost(of.tis))
            for name, of in self.standing.choices.items()
            if name in named
        ]
        best = max(self.standing.curve.performance)
        return found + [
            (f"best of {other.curve.scheme} (epoch {other.best})", cost(max(other.curve.performance) / best))
            for other in self.others
        ]


@dataclass(frozen=True, kw_only=True)
class Overall:
    """A way of choosing over all curves that it takes something of.

    Attributes:
        name: The way.
        mean: Mean TIS.
        range: Interval of the mean over seeds.
        worst: Lowest TIS.
        paid: Mean epochs of pretraining paid for.
        configurations: How many curves.
        behind: Interval over seeds of its mean TIS minus that of the best way.
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
        """Whether the seeds do not tell it apart from the best way."""
        return self.behind.high >= 0


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a study says.

    Attributes:
        standings: One per curve.
        advice: One per dataset, model and protocol, in that order.
        overall: The ways of choosing, the best mean TIS first.
    """

    standings: tuple[Standing, ...]
    advice: tuple[Advice, ...]
    overall: tuple[Overall, ...]

    @property
    def seeds(self) -> int:
        """Fewest trainings of a checkpoint."""
        return min(of.seeds for of in self.standings)

    def of(self, dataset: str) -> list[Advice]:
        """Return the advice for a dataset."""
        return [advice for advice in self.advice if advice.standing.curve.dataset == dataset]

    @property
    def datasets(self) -> list[str]:
        """The target datasets."""
        return list(dict.fromkeys(advice.standing.curve.dataset for advice in self.advice))

    @property
    def ways(self) -> list[str]:
        """The names of the ways that take something of some curve."""
        return list(dict.fromkeys(name for of in self.standings for name in of.choices))

    @property
    def headline(self) -> str:
        """The answer over all curves, in words."""
        if not self.overall:
            return "Nothing can be said yet: no configuration is complete."
        best = self.overall[0]
        text = (
            f"Of {len(self.overall)} ways to choose a checkpoint, “{best.name}” does best over "
            f"{_counted(best.configurations, 'complete configuration')}: mean TIS {best.mean:.4f}, which "
            f"costs {cost(best.mean)} of the best possible Dice on average ({cost(best.worst)} at worst), "
            f"for {epochs(round(best.paid, 1))} of pretraining."
        )
        if self.seeds == 1:
            return text + " With one seed nothing can be said about how sure that is."
        equal = [of for of in self.overall[1:] if of.as_good]
        if not equal:
            return text + " Other seeds would not change that: its interval excludes every other way."
        names = _joined(f"“{of.name}” ({of.mean:.4f})" for of in equal)
        text += f" The seeds do not tell it apart from {names}."
        cheapest = min((best, *equal), key=lambda of: of.paid)
        if cheapest is not best and cheapest.paid < best.paid:
            text += f" Of these “{cheapest.name}” pays least, {epochs(round(cheapest.paid, 1))} on average."
        return text

    @property
    def robustness(self) -> str:
        """What the indicator's choices are worth over all curves, in words."""
        of = {way.name: way for way in self.overall}
        if BEST not in of or LAST not in of:
            return ""
        chosen, last = of[BEST], of[LAST]
        difference = chosen.mean - last.mean
        verdict = (
            f"{abs(difference):.4f} {'more' if difference > 0 else 'less'} than"
            if abs(difference) >= 5e-5
            else "as much as"
        )
        text = (
            f"Choosing by robustness alone (the best score of the whole pretraining, no downstream training) "
            f"gives {chosen.mean:.4f}, {verdict} always taking the last checkpoint ({last.mean:.4f})"
        )
        if PEAK in of:
            text += (
                f"; stopping where the score first falls gives {of[PEAK].mean:.4f} for "
                f"{epochs(round(of[PEAK].paid, 1))}"
            )
        named = named_budgets([of.curve for of in self.standings])
        if budgets := [budget for budget in named if _budget_name(budget) in of]:
            each = (f"{epochs(budget)} {of[_budget_name(budget)].mean:.4f}" for budget in budgets)
            text += f"; a fixed budget of {_joined(each)}"
        if NONE in of:
            text += f"; no pretraining {of[NONE].mean:.4f}"
        return text + "."


def _joined(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _overall(
    standings: Sequence[Standing], resampled: Sequence[Array], names: Iterable[str]
) -> list[Overall]:
    draws, found = {}, []
    tis = [relative(dice) for dice in resampled]
    for name in names:
        if any(name not in of.choices for of in standings):
            continue  # a mean over fewer curves would not compare
        at = [of.curve.epochs.index(of.choices[name].epoch) for of in standings]
        draws[name] = np.mean([of[:, k] for of, k in zip(tis, at, strict=True)], axis=0)
    chosen = {name: [of.choices[name] for of in standings] for name in draws}
    means = {name: float(np.mean([of.tis for of in choices])) for name, choices in chosen.items()}
    paid = {name: float(np.mean([of.paid for of in choices])) for name, choices in chosen.items()}
    order = sorted(draws, key=lambda name: (-means[name], paid[name]))  # of equals, the cheaper first
    best = order[0]
    for name in order:
        found.append(
            Overall(
                name=name, mean=means[name], range=interval(draws[name]),
                worst=min(of.tis for of in chosen[name]), paid=paid[name],
                configurations=len(standings), behind=interval(draws[name] - draws[best]),
            )
        )  # fmt: skip
    return found


def advise(curves: Sequence[Curve], signal: Signal) -> Answers:
    """Return the answer that recorded curves give.

    Args:
        curves: The configurations; without any, nothing can be said.
        signal: The scores that robustness's choices follow.
    """
    if not curves:
        return Answers(standings=(), advice=(), overall=())
    ordered = sorted(
        curves,
        key=lambda c: (c.dataset, c.model, list(PROTOCOLS).index(c.protocol), c.scheme != "simple", c.scheme),
    )
    among, resampled = ways(ordered), resampled_dice(ordered)
    standings = [
        _standing(curve, dice, among, signal) for curve, dice in zip(ordered, resampled, strict=True)
    ]
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, curve in enumerate(ordered):
        groups.setdefault((curve.dataset, curve.model, curve.protocol), []).append(i)
    return Answers(
        standings=tuple(standings),
        advice=tuple(_advice(standings, resampled, members) for members in groups.values()),
        overall=tuple(_overall(standings, resampled, among)),
    )


def _advice(standings: Sequence[Standing], resampled: Sequence[Array], members: Sequence[int]) -> Advice:
    """Compare the checkpoints of all schemes; epoch 0 of one that another has too counts once."""
    winner = max(members, key=lambda i: max(standings[i].curve.performance))
    columns: dict[tuple[object, ...], Array] = {}
    for i in members:
        curve = standings[i].curve
        for k, (epoch, dice) in enumerate(zip(curve.epochs, curve.performances, strict=True)):
            columns[epoch, dice] = resampled[i][:, k]
    curve = standings[winner].curve
    at = list(columns).index((standings[winner].best, curve.performances[int(np.argmax(curve.performance))]))
    return Advice(
        standing=standings[winner],
        others=tuple(standings[i] for i in members if i != winner),
        best_share=float(_best_shares(np.stack(list(columns.values()), axis=1))[at]),
        checkpoints=len(columns),
    )


def answer_rows(answers: Answers) -> list[dict[str, Any]]:
    """Return one plain row per curve: what is best, what each way takes and costs, how sure that is."""
    rows = []
    for of in answers.standings:
        curve = of.curve
        row: dict[str, Any] = {
            "dataset": curve.dataset,
            "model": curve.model,
            "protocol": curve.protocol,
            "scheme": curve.scheme,
            "seeds": of.seeds,
            "best_epoch": of.best,
            "best_dice": max(curve.performance),
            "best_share": of.best_share,
            "shortest_equal_epoch": of.shortest_equal,
        }
        for name in answers.ways:
            choice, key = of.choices.get(name), name.replace(",", "").replace(" ", "_")
            row[f"{key}_epoch"] = choice.epoch if choice else None
            row[f"{key}_tis"] = choice.tis if choice else None
            row[f"{key}_tis_low"] = choice.range.low if choice else None
            row[f"{key}_tis_high"] = choice.range.high if choice else None
            row[f"{key}_best_share"] = choice.best_share if choice else None
        rows.append(row)
    return rows


def overall_rows(answers: Answers) -> list[dict[str, Any]]:
    """Return one plain row per way of choosing."""
    return [
        {
            "choice": of.name, "mean_tis": of.mean, "low": of.range.low, "high": of.range.high,
            "worst_tis": of.worst, "epochs": of.paid, "configurations": of.configurations,
            "behind_best_low": of.behind.low, "behind_best_high": of.behind.high,
        }
        for of in answers.overall
    ]  # fmt: skip
