"""The steps of a study within a session: each makes what is missing, and of earlier steps what it needs."""

import sys

from raytransfer.data.registry import source_problem
from raytransfer.errors import InputError
from raytransfer.pipeline.session import Session
from raytransfer.results.series import is_imported, series_problem
from raytransfer.results.units import (
    Encoders,
    EvaluationUnit,
    ScoringUnit,
    configurations,
    evaluation_units,
    pretraining_units,
    scoring_units,
)


def make_series(session: Session) -> Encoders:
    """Make the series that are missing, or name them where their source data are not here."""
    from raytransfer.ray_train.pretraining import pretrain  # with Ray and torch

    units, storage = pretraining_units(session.study), session.storage
    problem = source_problem(session.study.source)
    if problem is None:
        pretrain(units, storage, session.tracker)
    for unit in units:
        if (lacking := series_problem(unit, storage)) is not None:
            because = "an imported series" if is_imported(unit, storage) else problem or "see what failed"
            print(f"missing: {lacking} ({because})", file=sys.stderr)
    return storage.catalog.encoders(units)


def make_scores(session: Session, encoders: Encoders) -> list[ScoringUnit]:
    """Make the scores that are missing; return the scorings of the study."""
    from raytransfer.ray_tune.scoring import score

    units = scoring_units(session.study, encoders)
    score(units, session.storage, session.tracker)
    return units


def make_checkpoints(session: Session) -> tuple[Encoders, list[EvaluationUnit]]:
    """Make the series that are missing; return the encoders and the trials that can be trained of them.

    Raises:
        InputError: There is no checkpoint.
        WorkFailedError: There is none because a pretraining failed.
    """
    encoders = make_series(session)
    trials = evaluation_units(session.study, configurations(session.study), encoders)
    if not trials:
        session.finish(pretraining_units(session.study))
        raise InputError("no trial can run: no checkpoint of the study is there, see what is missing above")
    return encoders, trials


def make_trials(session: Session) -> tuple[list[ScoringUnit], list[EvaluationUnit]]:
    """Make what is missing, from pretraining to the last trial; return the study's units."""
    from raytransfer.ray_tune.grid import train_grid

    encoders, trials = make_checkpoints(session)
    scorings = make_scores(session, encoders)
    train_grid(trials, session.storage, session.tracker)
    return scorings, trials


def finish_study(session: Session, scorings: list[ScoringUnit], trials: list[EvaluationUnit]) -> int:
    """Say where the runs are and what failed; return the exit code."""
    command, link = session.tracker.ui_hint()
    print(f"runs:   {command + ', then open ' if command else ''}{link}")
    return session.finish_all([*pretraining_units(session.study), *scorings, *trials])
