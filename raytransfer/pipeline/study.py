"""The study that work is done on, and which of its data is there."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace

from raytransfer.data.registry import check_data, resolve_data, target_problem
from raytransfer.errors import InputError, unknown_name
from raytransfer.models.names import encoder_named_by, num_levels
from raytransfer.pretraining.schemes import SCHEMES
from raytransfer.results.study_file import StudyFile, read_study, write_study
from raytransfer.results.units import check_evaluations
from raytransfer.storage.files import StoragePath
from raytransfer.study import Study
from raytransfer.transferability.settings import DISTANCE_NAMES

OWN = "own"
"""What `study.json` calls the preset of a study that was put together in Python."""


def check_names(study: Study) -> None:
    """Raise InputError where a study names something that does not exist; torch is not needed for it."""
    check_data(study.source, study.datasets, study.target)
    for kind, name, known in (
        *(("pretraining scheme", scheme, tuple(SCHEMES)) for scheme in study.schemes),
        ("distance", study.robustness.distance, DISTANCE_NAMES),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    for model in study.models:
        count = num_levels(encoder_named_by(model))
        if not 1 <= abs(study.robustness.level) <= count:
            level = study.robustness.level
            raise InputError(f"robustness.level={level} does not exist: {model} has levels 1 to {count}")
    check_evaluations(study)


def resolved(study: Study, recorded: StudyFile | None) -> Study:
    """Return a study whose names exist, as a part of the storage path's where that has one.

    Paths of data are absolute and fingerprints read: nothing but the storage path is looked up later.

    Args:
        study: The settings asked for.
        recorded: The study that the storage path holds.

    Raises:
        InputError: A name does not exist, or the storage path holds a study of other settings or data.
    """
    check_names(study)
    if recorded is not None:
        study = recorded.part(study)
    source, target = resolve_data(study.source, study.datasets, study.target)
    return replace(study, source=source, target=target)


def keep_study(root: StoragePath, preset: str, study: Study) -> None:
    """Write the study into its storage path, or what it adds to the one that is there."""
    recorded = read_study(root)
    if recorded is None:
        write_study(root, preset, study)
    elif (grown := recorded.grown(study)) != recorded.study:
        write_study(root, recorded.preset, grown)


def with_loadable_data(study: Study) -> Study:
    """Leave out the datasets that cannot be loaded here, naming each on stderr.

    Raises:
        InputError: None is left.
    """
    return _without(study, _problems(study, study.datasets))


def with_known_data(study: Study) -> tuple[Study, tuple[str, ...]]:
    """Leave out the datasets of which nothing can be recorded, naming each; return why, a line each.

    Those of which `study.json` has the fingerprint are known, wherever their files are now.

    Raises:
        InputError: None is left.
    """
    known = dict(study.target.fingerprints)
    problems = _problems(study, [name for name in study.datasets if name not in known])
    return _without(study, problems), tuple(problems.values())


def _problems(study: Study, datasets: Iterable[str]) -> dict[str, str]:
    said = {name: target_problem(name, study.target) for name in datasets}
    return {name: problem for name, problem in said.items() if problem is not None}


def _without(study: Study, problems: Mapping[str, str]) -> Study:
    there = tuple(name for name in study.datasets if name not in problems)
    if not there:
        raise InputError("; ".join(problems.values()))
    for problem in problems.values():
        print(f"missing: {problem}", file=sys.stderr)
    return replace(study, datasets=there)
