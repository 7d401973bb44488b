"""Search for training settings with Optuna.

Question: which learning rate, weight decay and strength of augmentation are best, by a score without labels
          (robustness), by the source accuracy, or by the downstream performance?
Command:  python experiments/search.py --preset demo --trials 8
          python experiments/search.py --preset demo --what downstream --trials 8
          python experiments/search.py --preset demo --stop 'first-peak(patience=3)'
Cost:     at most that of the trials' pretrainings or downstream trainings; ASHA stops most of them early. The
          same command goes on where it was interrupted, with more --trials it goes further.
Result:   a table, the best settings first; in the ledger every epoch of the pretrainings and its scores, and
          the finished downstream trials; an MLflow run per trial; Optuna's study, <storage>/search/optuna.db.

Searched are learning rate and weight decay within a factor of ten around the study's own, and the strength of
augmentation from 0 to 1 times the study's. One thing is searched for: the first encoder under the first
scheme, on all targets; or the first model on the first dataset in the first protocol, from the last
checkpoint of its series, with the first seed. The performance (such as Dice) is of the test split: a
search spends it, so that settings found this way must be compared on other data.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from presets import PRESETS
from pretrain import run as pretrain
from ray.tune.schedulers import TrialScheduler
from tabulate import tabulate

from raytransfer.cli.command import main
from raytransfer.cli.options import filled, read_by, whole_number
from raytransfer.cli.session import Session
from raytransfer.errors import InputError
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.ray_tune.early_stopping import StoppingRuleScheduler
from raytransfer.ray_tune.named_schedulers import EPOCHS, asha
from raytransfer.ray_tune.search import check_optuna_storage, search
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    EvaluationUnit,
    PretrainingUnit,
    configurations,
    evaluation_units,
    pretraining_units,
)
from raytransfer.scheduling.registry import RULES, call_from_text
from raytransfer.scheduling.rules import StoppingRule
from raytransfer.statistics.signals import Signal, read_signal
from raytransfer.storage.databases import sqlite_url
from raytransfer.study import Study

OBJECTIVES = ("robustness", "accuracy", "performance")
MOST_TRIALS = 100_000
OF = {"pretraining": ("robustness", "accuracy"), "downstream": ("performance",)}


def _stop(text: str) -> partial[Any]:
    """Return what builds the scheduler or rule that a text names, after trying it once."""
    build = call_from_text(text, {**RULES, "asha": asha})
    build(*([1] if build.func is asha else []))
    return build


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a search can be asked."""
    add = parser.add_argument
    add("--what", choices=OF, default="pretraining", help="whose settings (default: pretraining)")
    add(
        "--objective",
        choices=OBJECTIVES,
        help="of a pretraining robustness (default) or accuracy on the source; of a downstream trial "
        "performance",
    )
    add(
        "--trials",
        type=whole_number(1, MOST_TRIALS),
        default=8,
        metavar="N",
        help="settings to try, earlier ones included (default: 8)",
    )
    add(
        "--stop",
        metavar="TEXT",
        type=read_by(_stop),
        default="asha",
        help=f"what stops trials: 'asha(grace_period=2)' (default: asha) or a rule; {', '.join(RULES)}",
    )
    add(
        "--optuna-storage",
        metavar="URL",
        type=read_by(filled),
        help="database of Optuna's study (default: <storage>/search/optuna.db)",
    )


def _optuna_storage(storage: Storage, options: argparse.Namespace) -> str:
    if options.optuna_storage is not None:
        return str(options.optuna_storage)
    folder = storage.root / "search"
    if not isinstance(folder, Path):
        raise InputError(
            f"--optuna-storage is needed: a database cannot lie in {folder}; give for example "
            "sqlite:///optuna.db, a file of this machine"
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be used as a folder ({error.strerror})") from error
    return sqlite_url(folder / "optuna.db")


def check(study: Study, storage: Storage, options: argparse.Namespace) -> None:
    """Refuse what no trial could be found, stopped or written down by."""
    objective = options.objective or OF[options.what][0]
    if objective not in OF[options.what]:
        valid = ", ".join(OF[options.what])
        raise InputError(f"--objective {objective} is not of --what {options.what}: {valid}")
    if options.what == "downstream":
        protocol = study.protocols[0]
        if "downstream" not in PROTOCOLS[protocol].settings(study.downstream):
            raise InputError(
                f"--what downstream varies a recipe of training, which protocol {protocol!r} has not"
            )
    if options.stop.func is not asha:
        of_pretraining = options.what == "pretraining"
        epochs = pretraining_units(study)[0].recipe.epochs if of_pretraining else study.downstream.epochs
        _check_rule(options.stop(), objective, study, epochs)
    check_optuna_storage(_optuna_storage(storage, options), own=options.optuna_storage is None)


def _check_rule(rule: StoppingRule, objective: str, study: Study, epochs: int) -> None:
    """Refuse a rule that says nothing of the scores that trials report."""
    rule.check_epochs(epochs)
    if rule.needs_errors and objective != "robustness":
        raise InputError(f"--stop {rule.name} needs standard errors, and {objective} has none: another rule")
    follows = Signal.of_study(study.robustness)
    if rule.signal is not None and (objective != "robustness" or read_signal(rule.signal) != follows):
        seen = follows if objective == "robustness" else objective
        raise InputError(
            f"--stop {rule.name} was made for {rule.signal}, a search stops trials by what it looks for, "
            f"{seen}: another rule, or --objective robustness with robustness.distance, .margin, .level and "
            ".pooled set to those"
        )


def _base(session: Session) -> PretrainingUnit | EvaluationUnit:
    """Return what is varied, after making the checkpoint that a downstream trial needs."""
    if session.options.what == "pretraining":
        return pretraining_units(session.study)[0]
    first = replace(
        session.study,
        **{
            name: getattr(session.study, name)[:1]
            for name in ("models", "datasets", "schemes", "protocols", "seeds")
        },
    )
    encoders = pretrain(replace(session, study=first))
    session.finish(pretraining_units(first))
    trials = evaluation_units(first, configurations(first), encoders)
    if not trials:
        raise InputError("no trial can run: no checkpoint of the study is there, see what is missing above")
    return trials[-1]


def _metric(objective: str, base: PretrainingUnit | EvaluationUnit) -> str:
    """Return what trials report the objective as."""
    if isinstance(base, EvaluationUnit):
        return f"test/{base.task.primary_metric.name}"
    return {"robustness": "robustness", "accuracy": "val/top1"}[objective]


def _scheduler(session: Session, objective: str, epochs: int) -> TrialScheduler:
    stop = session.options.stop
    return stop(epochs, EPOCHS) if stop.func is asha else StoppingRuleScheduler(stop, metric=objective)


def _reported(name: str, unit: PretrainingUnit | EvaluationUnit) -> str:
    """Return what an objective is called in a unit's reports."""
    if isinstance(unit, PretrainingUnit):
        return unit.primary_metric if name == "accuracy" else name
    return f"test/{name}"


def experiment(session: Session) -> int:
    """Search, and print what was found."""
    options = session.options
    name = options.objective or OF[options.what][0]
    base = _base(session)
    metric = _metric(name, base)
    epochs = base.recipe.epochs if isinstance(base, PretrainingUnit) else base.num_steps
    found = search(
        base,
        session.storage,
        session.tracker,
        objective=metric,
        trials=options.trials,
        scheduler=_scheduler(session, metric, epochs),
        optuna_storage=_optuna_storage(session.storage, options),
    )
    rows = [
        [
            "failed" if of.value is None else f"{of.value:.4f}",
            *(f"{of.settings[key]:.3g}" for key in ("learning_rate", "weight_decay", "augmentation")),
            f"{of.epochs} of {epochs}",
            of.key,
        ]
        for of in found
    ]
    headers = [name, "learning rate", "weight decay", "augmentation", "epochs", "key"]
    print(tabulate(rows, headers=headers, disable_numparse=True))
    print(f"{options.what} {base.name}; {name} is that of a trial's last epoch")
    return 0


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment, add_options=add_options, check=check))
