"""Recorded pretrainings replayed through stopping rules and Ray Tune's schedulers."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from raytransfer.pipeline.records import Records
from raytransfer.ray_tune.named_schedulers import SCHEDULERS, judge_factory
from raytransfer.scheduling.plateau import Plateau
from raytransfer.scheduling.registry import RULES, rule_factory
from raytransfer.statistics.ratings import JudgeFactory, Rating, Recordings, fixed_budgets, rate, recordings
from raytransfer.statistics.signals import Signal, read_signal, rule_and_signal


def default_rules(recorded: Recordings) -> list[str]:
    """Return the rules that what was recorded allows."""
    errors = (e for p in recorded.pretrainings for points in p.curves.values() for _, e in points)
    signal = read_signal(Plateau.signal)
    follows = all(signal.choice(curve.encoder, curve.protocol) in curve.scores for curve in recorded.curves)
    return [
        *(f"first-peak(patience={patience})" for patience in (1, 2, 3)),
        *(["significant-fall(z=1)", "significant-fall(z=2)"] if all(map(math.isfinite, errors)) else []),
        *(["plateau"] if follows else []),
        "best-of-all",
        *SCHEDULERS,
    ]


class Replayed(NamedTuple):
    """Ratings of rules, of the fixed budgets, and what their times count ("hour" or "epoch")."""

    ratings: list[Rating]
    line: list[Rating]
    unit: str


def replayed(records: Records, rules: Sequence[str] = (), workers: int = 4) -> Replayed:
    """Replay what was recorded.

    Args:
        records: A study's, or the published.
        rules: For example "first-peak(patience=2)"; `default_rules` where empty.
        workers: Pretrainings that run at once.
    """
    default = Signal.of_study(records.study.robustness)

    def read(text: str) -> tuple[str, JudgeFactory, Signal]:
        rule, signal = rule_and_signal(text, default)
        return (rule if signal == default else f"{rule} on {signal}"), judge_factory(rule), signal

    asked = [read(text) for text in rules]
    last = max((curve.epochs[-1] for curve in records.curves), default=0)
    for rule in (rule_and_signal(text, default)[0] for text in rules):
        if rule.partition("(")[0].strip() in RULES:
            rule_factory(rule)().check_epochs(last)
    recorded = {default: recordings(records.curves, default, records.epoch_seconds)}
    asked = asked or [read(text) for text in default_rules(recorded[default])]
    for _, _, signal in asked:
        if signal not in recorded:
            recorded[signal] = recordings(records.curves, signal, records.epoch_seconds)
    return Replayed(
        ratings=[rate(text, make, recorded[of], workers=workers) for text, make, of in asked],
        line=fixed_budgets(recorded[default], workers=workers),
        unit=recorded[default].unit,
    )
