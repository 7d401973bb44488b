"""A search for training settings: what is varied, by which objective, and what stops trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytransfer.errors import InputError
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.pipeline.session import Session
from raytransfer.pipeline.steps import make_checkpoints
from raytransfer.ray_tune.named_schedulers import EPOCHS, asha, check_asha
from raytransfer.ray_tune.optuna_storage import check_optuna_storage
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit, PretrainingUnit, pretraining_units
from raytransfer.scheduling.registry import RULES, call_from_text
from raytransfer.scheduling.rules import StoppingRule
from raytransfer.statistics.signals import Signal, read_signal
from raytransfer.storage.databases import sqlite_url
from raytransfer.study import Study

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from raytransfer.ray_tune.search import Found

OBJECTIVES = ("robustness", "accuracy", "performance")
OF = {"pretraining": ("robustness", "accuracy"), "downstream": ("performance",)}
"""What is varied -> its objectives, the default first."""


def read_stop(text: str) -> partial[Any]:
    """Return what builds the scheduler or rule that a text names.

    Raises:
        InputError: There is none, or it takes no such values.
    """
    build = call_from_text(text, {**RULES, "asha": asha})
    if build.func is asha:
        check_asha(**build.keywords)
    else:
        build()
    return build


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search is asked.

    Attributes:
        what: Whose settings: "pretraining" or "downstream".
        objective: One of `OF[what]`.
        trials: Settings to try, earlier ones included.
        stop: What stops trials, as `read_stop` gives it.
        database: URL of Optuna's study; `<storage>/search/optuna.db` where None.
    """

    what: str
    objective: str
    trials: int
    stop: Callable[..., Any]
    database: str | None = None


def check_search(study: Study, storage: Storage, search: Search) -> None:
    """Refuse what no trial could be found, stopped or written down by.

    Raises:
        InputError: Names the option.
    """
    if search.objective not in OF[search.what]:
        valid = ", ".join(OF[search.what])
        raise InputError(f"--objective {search.objective} is not of --what {search.what}: {valid}")
    if search.what == "downstream":
        protocol = study.protocols[0]
        if "downstream" not in PROTOCOLS[protocol].settings(study.downstream):
            raise InputError(
                f"--what downstream varies a recipe of training, which protocol {protocol!r} has not"
            )
    if getattr(search.stop, "func", None) is not asha:
        of_pretraining = search.what == "pretraining"
        epochs = pretraining_units(study)[0].recipe.epochs if of_pretraining else study.downstream.epochs
        _check_rule(search.stop(), search.objective, study, epochs)
    url = optuna_url(storage, search)
    check_optuna_storage(url, own=search.database is None)


def optuna_url(storage: Storage, search: Search) -> str:
    """Return the URL of the database of Optuna's study; raises InputError where none can lie there."""
    if search.database is not None:
        return search.database
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


def _base(session: Session, what: str) -> PretrainingUnit | EvaluationUnit:
    """Return what is varied, after making the checkpoint that a downstream trial needs."""
    if what == "pretraining":
        return pretraining_units(session.study)[0]
    compared = ("models", "datasets", "schemes", "protocols", "seeds")
    first = replace(session.study, **{name: getattr(session.study, name)[:1] for name in compared})
    _, trials = make_checkpoints(replace(session, study=first))
    session.finish(pretraining_units(first))
    return trials[-1]


def _metric(objective: str, base: PretrainingUnit | EvaluationUnit) -> str:
    """Return what trials report an objective as."""
    if isinstance(base, EvaluationUnit):
        return f"test/{base.task.primary_metric.name}"
    return base.primary_metric if objective == "accuracy" else objective


def _scheduler(stop: Callable[..., Any], objective: str, epochs: int) -> "TrialScheduler":
    from raytransfer.ray_tune.early_stopping import StoppingRuleScheduler

    if getattr(stop, "func", None) is asha:
        scheduler: TrialScheduler = stop(epochs, EPOCHS)
        return scheduler
    return StoppingRuleScheduler(stop, metric=objective)


def search_settings(
    session: Session, search: Search
) -> "tuple[PretrainingUnit | EvaluationUnit, int, Sequence[Found]]":
    """Search; return what was varied, its epochs, and the trials, the best first."""
    from raytransfer.ray_tune import search as tune

    base = _base(session, search.what)
    epochs = base.recipe.epochs if isinstance(base, PretrainingUnit) else base.num_steps
    metric = _metric(search.objective, base)
    found = tune.search(
        base,
        session.storage,
        session.tracker,
        objective=metric,
        trials=search.trials,
        scheduler=_scheduler(search.stop, metric, epochs),
        optuna_storage=optuna_url(session.storage, search),
    )
    return base, epochs, found
