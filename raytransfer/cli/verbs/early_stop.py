"""Pretrain only as long as the robustness on the targets says so.

Question: how many epochs of pretraining does a live stopping rule save, and what checkpoint does it take?
Command:  raytransfer early-stop --preset demo
          raytransfer early-stop --preset demo --rule 'first-peak(patience=3)' --scheduler asha
Cost:     at most that of raytransfer pretrain and of a scoring per epoch and target; the same command goes
          on where it was interrupted, and another rule on the same storage path goes on from what is there.
Result:   a table: per pretraining and target the epoch of the decision, the epochs saved and the checkpoint
          selected, with its TIS where raytransfer grid has trained it; the checkpoint series, with the
          selected encoders in it; in the ledger every epoch and its scores; an MLflow run per pretraining.

Each pretraining goes on until the rule has stopped on its last target. Workers train on until the decision
reaches them, seconds later: "trained" counts what was finished by then, also by earlier commands.
"""

import argparse

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.cli.options import read_by
from raytransfer.pipeline.session import Session
from raytransfer.pipeline.stopping import check_rule, grid_curves, pretrain_until_rule
from raytransfer.ray_tune.named_schedulers import SCHEDULERS
from raytransfer.results.storage import Storage
from raytransfer.scheduling.registry import RULES, call_from_text, rule_factory
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


def check(study: Study, storage: Storage, options: Options) -> None:
    """Refuse a rule that would see no scores, or not in time."""
    check_rule(study, options.rule)


def experiment(session: Session, options: Options) -> int:
    """Pretrain until the rule stops, and print what it decided."""
    judged = pretrain_until_rule(session, options.rule, options.scheduler)
    from raytransfer.report.tables import stopping_table

    print(stopping_table(judged, session.storage, grid_curves(session)))
    rule, signal = rule_and_signal(options.rule, Signal.of_study(session.study.robustness))
    print(f"rule: {rule_factory(rule)()} on {signal}; stop, saved, trained and selected count epochs")
    return session.finish([unit for unit, _ in judged])


main = command.verb_that_computes("early-stop", __doc__, experiment, add_options=add_options, check=check)
