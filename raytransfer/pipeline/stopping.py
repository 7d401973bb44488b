"""Pretraining that ends when a score on the target data says so."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from raytransfer.data.registry import source_problem
from raytransfer.pipeline.checks import check_signal
from raytransfer.pipeline.session import Session
from raytransfer.results.curves import curves, recorded
from raytransfer.results.live import live_curves
from raytransfer.results.series import is_trainable
from raytransfer.results.units import (
    PretrainingUnit,
    configurations,
    evaluation_units,
    pretraining_units,
    scoring_units,
)
from raytransfer.scheduling.judgements import Judgement, judge
from raytransfer.scheduling.registry import rule_factory
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.signals import Signal, rule_and_signal
from raytransfer.study import Study

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

Judged = list[tuple[PretrainingUnit, list[Judgement]]]
"""Each pretraining with the rule's decision on each of its targets."""


def check_rule(study: Study, text: str) -> None:
    """Refuse a rule that would see no scores, or not in time.

    Args:
        study: The settings.
        text: For example "first-peak(patience=2)" or "first-peak on l2(margin=1)".

    Raises:
        InputError: Says which.
    """
    rule, signal = rule_and_signal(text, Signal.of_study(study.robustness))
    check_signal(signal, study)
    rule_factory(rule)().check_epochs(max(unit.recipe.epochs for unit in pretraining_units(study)))


def pretrain_until_rule(
    session: Session, text: str, build: Callable[[int], "TrialScheduler"] | None = None
) -> Judged:
    """Pretrain until the rule stops; return each pretraining with what the rule decided of it.

    Args:
        session: What to work with.
        text: The rule, as for `check_rule`.
        build: Makes a scheduler of Ray's beside the rule, of the epochs of the longest pretraining.
    """
    from raytransfer.ray_tune.live_pretraining import pretrain_until_stopped  # with Ray and torch

    units, storage = pretraining_units(session.study), session.storage
    rule, signal = rule_and_signal(text, Signal.of_study(session.study.robustness))
    make_rule = rule_factory(rule)
    problem = source_problem(session.study.source)
    for unit in [unit for unit in units if problem is not None and is_trainable(unit, storage)]:
        print(f"missing: {unit.name} ({problem})", file=sys.stderr)
        units.remove(unit)
    scheduler = None if build is None else build(max((u.recipe.epochs for u in units), default=1))
    pretrain_until_stopped(units, storage, session.tracker, make_rule, signal=signal, scheduler=scheduler)
    return [(unit, judge(live_curves(unit, storage, signal), make_rule)) for unit in units]


def grid_curves(session: Session) -> list[Curve]:
    """Return what the ledger has of the study's downstream grid."""
    study, storage = session.study, session.storage
    encoders = storage.catalog.encoders(pretraining_units(study))
    trials = evaluation_units(study, configurations(study), encoders)
    return curves(*recorded(storage.ledger, scoring_units(study, encoders), trials))
