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

from raytransfer.cli import Session, main
from raytransfer.ray_tune.live_pretraining import judged, pretrain_until_stopped
from raytransfer.results import pretraining_units
from raytransfer.scheduling import RULES, rule_factory


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what an early stopping can be asked."""
    parser.add_argument(
        "--rule",
        metavar="TEXT",
        default="first-peak",
        help=f"for example 'first-peak(patience=2)'; {', '.join(RULES)} (default: first-peak)",
    )


def experiment(session: Session) -> int:
    """Pretrain until the rule stops, and print what it decided."""
    units, storage = pretraining_units(session.study), session.storage
    make_rule = rule_factory(session.options.rule)
    pretrain_until_stopped(units, storage, session.tracker, make_rule)
    for unit in units:
        print(unit.name, judged(unit, storage, make_rule))
    return 0


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment, add_options=add_options))
