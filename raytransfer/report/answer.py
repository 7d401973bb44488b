"""The answer in words: what to take, what it costs, how sure that is, and what is missing."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raytransfer.report.page import Cell, Section, Table, missing, number, words
from raytransfer.statistics.answer import (
    Answer,
    CurveSummary,
    Recommendation,
    answer_rows,
    strategy_rows,
)
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.performance import Key, Row
from raytransfer.statistics.resampling import Interval
from raytransfer.statistics.selection import BEST, LAST, NONE, PEAK, budget_name

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


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def epochs(number: float) -> str:
    """Return a number of epochs as text."""
    return _counted(number, "epoch")


def _joined(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def named_budgets(curves: Sequence[Curve]) -> list[int]:
    """Return the longest recorded pretrainings within `BUDGETS`, ascending."""
    recorded = sorted({epoch for curve in curves for epoch in curve.epochs if epoch > 0})
    longest = (max((e for e in recorded if e <= share * recorded[-1]), default=None) for share in BUDGETS)
    return sorted({epoch for epoch in longest if epoch is not None})


def _title(model: str, protocol: str) -> str:
    return f"{model}, {'full training' if protocol == 'fine_tuning' else 'decoder only'}"


def _dice(curve: Curve, epoch: int) -> str:
    """Return a checkpoint's performance as text."""
    position = curve.epochs.index(epoch)
    spread = curve.spread[position]
    return f"{curve.performance[position]:.4f}" + ("" if math.isnan(spread) else f" ± {spread:.4f}")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation in words.

    Attributes:
        dataset: Target dataset.
        title: Model and protocol.
        take: The checkpoint.
        why: How good it is and how sure that is.
        indicator: What robustness would have taken, without a single downstream training.
        baselines: What simpler choices cost, and the best of the other schemes: (choice, cost).
    """

    dataset: str
    title: str
    take: str
    why: str
    indicator: str
    baselines: list[tuple[str, str]]


def advice(recommendation: Recommendation) -> Advice:
    """Put a recommendation into words."""
    curve = recommendation.summary.curve
    return Advice(
        dataset=curve.dataset,
        title=_title(curve.model, curve.protocol),
        take=_take(recommendation),
        why=_why(recommendation),
        indicator=_indicator(recommendation.summary),
        baselines=_baselines(recommendation),
    )


def _take(recommendation: Recommendation) -> str:
    best = recommendation.summary.best
    if best == 0:
        return "the untrained encoder"
    scheme = f" ({recommendation.summary.curve.scheme})" if recommendation.others else ""
    return f"epoch {best}{scheme}"


def _why(recommendation: Recommendation) -> str:
    summary, seeds = recommendation.summary, recommendation.summary.seeds
    text = f"mean {summary.curve.metric} {_dice(summary.curve, summary.best)} over {_counted(seeds, 'seed')}"
    if seeds == 1:
        return f"{text}; how sure that is one seed cannot say."
    text += (
        f", the best of {recommendation.checkpoints} checkpoints in {percent(recommendation.best_share)} of "
        "resamples of the seeds"
    )
    if summary.shortest_equal < summary.best:
        shorter = "no pretraining" if summary.shortest_equal == 0 else epochs(summary.shortest_equal)
        cheaper = cost(summary.curve.tis(summary.shortest_equal))
        text += f"; {shorter} cannot be told apart from it (costs {cheaper})"
    return text + "."


def _indicator(summary: CurveSummary) -> str:
    selected = summary.selected.get(BEST)
    if selected is None:
        return "Robustness has no scores here."
    if selected.epoch == summary.best:
        return f"Robustness takes the same one (epoch {selected.epoch}) without any downstream training."
    sure = f", {_cost_between(selected.range)} over the seeds" if summary.seeds > 1 else ""
    metric = summary.curve.metric
    return f"Robustness takes epoch {selected.epoch}, which costs {cost(selected.tis)} of the {metric}{sure}."


def _baselines(recommendation: Recommendation) -> list[tuple[str, str]]:
    summary = recommendation.summary
    named = {PEAK, LAST, NONE, *map(budget_name, named_budgets([summary.curve]))}
    simple = [
        (f"{name} (epoch {selected.epoch})" if name in (PEAK, LAST) else name, cost(selected.tis))
        for name, selected in summary.selected.items()
        if name in named
    ]
    best = max(summary.curve.performance)
    return simple + [
        (f"best of {other.curve.scheme} (epoch {other.best})", cost(max(other.curve.performance) / best))
        for other in recommendation.others
    ]


def headline(answer: Answer) -> str:
    """Return the answer over all curves, in words."""
    if not answer.strategies:
        return "Nothing can be said yet: no configuration is complete."
    best = answer.strategies[0]
    text = (
        f"Of {len(answer.strategies)} ways to choose a checkpoint, “{best.name}” does best over "
        f"{_counted(best.configurations, 'complete configuration')}: mean TIS {best.mean:.4f}, which "
        f"costs {cost(best.mean)} of the best possible performance on average ({cost(best.worst)} at worst), "
        f"for {epochs(round(best.paid, 1))} of pretraining."
    )
    if answer.seeds == 1:
        return text + " With one seed nothing can be said about how sure that is."
    equal = [strategy for strategy in answer.strategies[1:] if strategy.as_good]
    if not equal:
        return text + " Other seeds would not change that: its interval excludes every other way."
    names = _joined(f"“{strategy.name}” ({strategy.mean:.4f})" for strategy in equal)
    text += f" The seeds do not tell it apart from {names}."
    cheapest = min((best, *equal), key=lambda strategy: strategy.paid)
    if cheapest is not best and cheapest.paid < best.paid:
        text += f" Of these “{cheapest.name}” pays least, {epochs(round(cheapest.paid, 1))} on average."
    return text


def worth_of_robustness(answer: Answer) -> str:
    """Return what the indicator's choices are worth over all curves, in words."""
    by_score, last, peak, none = map(answer.strategy, (BEST, LAST, PEAK, NONE))
    if by_score is None or last is None:
        return ""
    difference = by_score.mean - last.mean
    verdict = (
        f"{abs(difference):.4f} {'more' if difference > 0 else 'less'} than"
        if abs(difference) >= 5e-5
        else "as much as"
    )
    text = (
        f"Choosing by robustness alone (the best score of the whole pretraining, no downstream training) "
        f"gives {by_score.mean:.4f}, {verdict} always taking the last checkpoint ({last.mean:.4f})"
    )
    if peak is not None:
        text += (
            f"; stopping where the score first falls gives {peak.mean:.4f} for {epochs(round(peak.paid, 1))}"
        )
    named = named_budgets([summary.curve for summary in answer.summaries])
    budgets = [(budget, answer.strategy(budget_name(budget))) for budget in named]
    if each := [f"{epochs(budget)} {fixed.mean:.4f}" for budget, fixed in budgets if fixed is not None]:
        text += f"; a fixed budget of {_joined(each)}"
    if none is not None:
        text += f"; no pretraining {none.mean:.4f}"
    return text + "."


@dataclass(frozen=True, kw_only=True)
class MissingAnswer:
    """A dataset, model and protocol without an answer yet.

    Attributes:
        dataset: Target dataset.
        title: Model and protocol.
        why: What is missing.
    """

    dataset: str
    title: str
    why: str


def missing_answers(rows: Sequence[Row], answer: Answer) -> list[MissingAnswer]:
    """Return what the answer leaves out.

    Args:
        rows: Of `performance`.
        answer: Of the curves that are complete.
    """
    waiting = set(_unanswered(rows, answer))
    return [
        MissingAnswer(
            dataset=row.key[1],
            title=_title(row.key[0], row.key[3]),
            why=f"{row.key[2]}, {_missing_trainings(row) or 'scores of some checkpoints'}.",
        )
        for row in rows
        if row.key in waiting
    ]


def _unanswered(rows: Sequence[Row], answer: Answer) -> list[Key]:
    """Return the (model, dataset, scheme, protocol) that no complete curve answers."""
    curves = (summary.curve for summary in answer.summaries)
    answered = {(curve.model, curve.dataset, curve.scheme, curve.protocol) for curve in curves}
    return [row.key for row in rows if row.key not in answered]


def _missing_trainings(row: Row) -> str:
    return f"trainings of epoch {', '.join(map(str, row.missing))}" if row.missing else ""


def missing_results(rows: Sequence[Row], others: Iterable[str]) -> list[str]:
    """Return what a study lacks, a line each.

    Args:
        rows: Of `performance`.
        others: Lines of what else is missing.
    """
    lines = [
        f"{' '.join(row.key)}: trainings are missing of epoch {', '.join(map(str, row.missing))}"
        for row in rows
        if row.missing
    ]
    return list(dict.fromkeys([*others, *lines]))


def answer_section(answer: Answer, rows: Sequence[Row]) -> Section:
    """Return the numbers behind the words at the top.

    Args:
        answer: Of the curves that are complete.
        rows: Of `performance`; those without an answer are shown as missing.
    """
    best = answer.strategies[0]
    overall = Table(
        name="ways",
        title="Ways to choose a checkpoint",
        note="Mean TIS (performance of the chosen checkpoint / that of the best one) over all "
        "configurations, its interval and that of the difference to the best way under resampling of the "
        "seeds (95 %), worst configuration, and epochs of pretraining paid for.",
        headers=("choice", "mean TIS", "worst", "epochs paid", "behind the best way"),
        rows=[
            [
                words(strategy.name),
                number(strategy.mean, 4, _between(strategy.range), strong=strategy is best),
                number(strategy.worst),
                number(strategy.paid, 1),
                words("best")
                if strategy is best
                else number(
                    strategy.mean - best.mean,
                    4,
                    "not told apart" if strategy.as_good else _between(strategy.behind),
                ),
            ]
            for strategy in answer.strategies
        ],
        data=strategy_rows(answer),
    )
    names = answer.names
    details = Table(
        name="answer_by_configuration",
        title="Every configuration",
        note="The best checkpoint by mean performance, the share of resamples of the seeds in which it is "
        "the best of its scheme, the shortest pretraining not told apart from it (best in at least 2.5 % of "
        "resamples), and what each way of choosing takes: TIS, then its epoch and 95 % interval.",
        headers=("dataset", "model", "protocol", "scheme", "best", "sure", "shortest equal", *names),
        rows=[
            [
                *(words(getattr(summary.curve, name)) for name in ("dataset", "model", "protocol", "scheme")),
                Cell(
                    text=f"epoch {summary.best}", note=_dice(summary.curve, summary.best), value=summary.best
                ),
                words("one seed") if summary.seeds == 1 else number(100 * summary.best_share, 0),
                words(summary.shortest_equal),
                *(_selected(summary, name) for name in names),
            ]
            for summary in answer.summaries
        ]
        + [
            [*map(words, (dataset, model, protocol, scheme)), *[missing()] * (3 + len(names))]
            for model, dataset, scheme, protocol in _unanswered(rows, answer)
        ],
        data=answer_rows(answer),
    )
    return Section(
        name="answer",
        title="The answer",
        words=(
            "How sure: every checkpoint’s downstream trainings are drawn again with replacement, "
            "4,000 times, and everything is computed again. That says what other seeds might give, not what "
            f"other data would; with {_counted(answer.seeds, 'seed')} it makes "
            f"intervals about {100 * (1 - math.sqrt((answer.seeds - 1) / answer.seeds)):.0f} % too narrow. "
            "The best of many measured checkpoints also looks better than it is, and the costs of the others "
            "larger.",
        ),
        items=(overall, details),
    )


def _between(interval: Interval) -> str:
    return f"{interval.low:.4f} to {interval.high:.4f}".replace("-", "−")


def _selected(summary: CurveSummary, name: str) -> Cell:
    selected = summary.selected.get(name)
    if selected is None:
        return Cell(text="–")
    sure = "" if summary.seeds == 1 else f", {_between(selected.range)}"
    return number(selected.tis, 4, f"epoch {selected.epoch}{sure}", strong=selected.epoch == summary.best)
