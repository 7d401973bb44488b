"""Pretrain only as long as the robustness on the targets says so.

Question: how many epochs of pretraining does a live stopping rule save, and what checkpoint does it take?
Command:  python experiments/early_stop.py --preset demo
          python experiments/early_stop.py --preset demo --rule 'first-peak(patience=3)' --scheduler asha
Cost:     at most that of experiments/pretrain.py and of a scoring per epoch and target; the same command goes
          on where it was interrupted, and another rule on the same storage path goes on from what is there.
Result:   a table: per pretraining and target the epoch of the decision, the epochs saved and the checkpoint
          selected, with its TIS where experiments/grid.py has trained it; the checkpoint series, with the
          selected encoders in it; in the ledger every epoch and its scores; an MLflow run per pretraining.

Each pretraining goes on until the rule has stopped on its last target. Workers train on until the decision
reaches them, seconds later: "trained" counts what was finished by then, also by earlier commands.
"""

import argparse
import sys

from presets import PRESETS

from raytransfer.cli.checks import check_signal
from raytransfer.cli.command import main
from raytransfer.cli.options import read_by
from raytransfer.cli.session import Session
from raytransfer.data.registry import source_problem
from raytransfer.ray_train.pretraining import is_trainable
from raytransfer.ray_tune.live_pretraining import pretrain_until_stopped
from raytransfer.ray_tune.named_schedulers import SCHEDULERS
from raytransfer.report.tables import stopping_table
from raytransfer.results.curves import curves, recorded
from raytransfer.results.live import live_curves
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    configurations,
    evaluation_units,
    pretraining_units,
    scoring_units,
)
from raytransfer.scheduling.judgements import judge
from raytransfer.scheduling.registry import RULES, call_from_text, rule_factory
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.signals import Signal, rule_and_signal
from raytransfer.study import Study


def _checked(text: str) -> str:
    """Return a rule's text where it can be read."""
    rule, _ = rule_and_signal(text, Signal())
    rule_factory(rule)
    return text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what an early stopping can be asked."""
    parser.add_argument(
        "--rule",
        metavar="TEXT",
        default="first-peak",
        type=read_by(_checked),
        help=f"for example 'first-peak(patience=2)', on other scores than the study's or those it was made "
        f"for 'first-peak on l2(margin=1)'; {', '.join(RULES)} (default: first-peak)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="TEXT",
        type=read_by(lambda text: call_from_text(text, SCHEDULERS)),
        help="one of Ray's beside the rule, which compares pretrainings with each other by their mean "
        f"robustness, for example 'asha(reduction_factor=3)'; {', '.join(SCHEDULERS)}",
    )


def check(study: Study, storage: Storage, options: argparse.Namespace) -> None:
    """Refuse a rule that would see no scores, or not in time."""
    rule, signal = rule_and_signal(options.rule, Signal.of_study(study.robustness))
    check_signal(signal, study)
    rule_factory(rule)().check_epochs(max(unit.recipe.epochs for unit in pretraining_units(study)))


def _grid_curves(session: Session) -> list[Curve]:
    """Return what the ledger has of the study's downstream grid."""
    study, storage = session.study, session.storage
    encoders = storage.catalog.encoders(pretraining_units(study))
    trials = evaluation_units(study, configurations(study), encoders)
    return curves(*recorded(storage.ledger, scoring_units(study, encoders), trials))


def experiment(session: Session) -> int:
    """Pretrain until the rule stops, and print what it decided."""
    units, storage = pretraining_units(session.study), session.storage
    rule, signal = rule_and_signal(session.options.rule, Signal.of_study(session.study.robustness))
    make_rule = rule_factory(rule)
    problem = source_problem(session.study.source)
    for unit in [unit for unit in units if problem is not None and is_trainable(unit, storage)]:
        print(f"missing: {unit.name} ({problem})", file=sys.stderr)
        units.remove(unit)
    build = session.options.scheduler
    scheduler = None if build is None else build(max((u.recipe.epochs for u in units), default=1))
    pretrain_until_stopped(units, storage, session.tracker, make_rule, signal=signal, scheduler=scheduler)
    judgements = [(unit, judge(live_curves(unit, storage, signal), make_rule)) for unit in units]
    print(stopping_table(judgements, storage, _grid_curves(session)))
    print(f"rule: {make_rule()} on {signal}; stop, saved, trained and selected count epochs")
    return session.finish(units)


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment, add_options=add_options, check=check))
