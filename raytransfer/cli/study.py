"""The study that a command line means, and which of its data is there."""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from raytransfer.cli.options import DEFAULT_PRESET, Presets
from raytransfer.data.registry import check_data, resolve_data, target_problem
from raytransfer.errors import InputError, unknown_name
from raytransfer.models.registry import encoder_named_by, num_levels
from raytransfer.pretraining.schemes import SCHEMES
from raytransfer.results.study_file import read_study, write_study
from raytransfer.results.units import check_evaluations
from raytransfer.settings import with_overrides
from raytransfer.storage.files import StoragePath, resolve_path
from raytransfer.study import Study
from raytransfer.transferability.distances import DISTANCES


def _check_names(study: Study) -> None:
    check_data(study.source, study.datasets, study.target)
    for kind, name, known in (
        *(("pretraining scheme", scheme, tuple(SCHEMES)) for scheme in study.schemes),
        ("distance", study.robustness.distance, DISTANCES),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    for model in study.models:
        count = num_levels(encoder_named_by(model))
        if not 1 <= abs(study.robustness.level) <= count:
            level = study.robustness.level
            raise InputError(f"robustness.level={level} does not exist: {model} has levels 1 to {count}")
    check_evaluations(study)


def preset_study(arguments: argparse.Namespace, presets: Presets) -> Study:
    """Return the preset with its changed settings; raises InputError for names that do not exist."""
    study = with_overrides(presets[arguments.preset or DEFAULT_PRESET](), arguments.set)
    _check_names(study)
    return study


def storage_root(arguments: argparse.Namespace) -> StoragePath:
    """Return the storage path that a command line means."""
    return resolve_path(arguments.storage_path or Path("runs") / (arguments.preset or DEFAULT_PRESET))


def resolved_study(arguments: argparse.Namespace, presets: Presets) -> Study:
    """Return the study of the storage path, or where it has none the preset, with the changed settings.

    Paths of data are absolute and fingerprints read: nothing but the storage path is looked up later.

    Raises:
        InputError: A name does not exist, or the storage path holds a study of other settings or data.
    """
    recorded = read_study(storage_root(arguments))
    if recorded is None:
        study = preset_study(arguments, presets)
    else:
        if arguments.preset not in (None, recorded.preset):
            raise InputError(
                f"{recorded.path} holds a study of the preset {recorded.preset!r}, not "
                f"{arguments.preset!r}: use another --storage-path"
            )
        study = with_overrides(recorded.study, arguments.set)
        _check_names(study)
        study = recorded.part(study)
    source, target = resolve_data(study.source, study.datasets, study.target)
    return replace(study, source=source, target=target)


def keep_study(arguments: argparse.Namespace, study: Study, root: StoragePath) -> None:
    """Write the study into its storage path, or what this command adds to the one that is there."""
    recorded = read_study(root)
    if recorded is None:
        write_study(root, arguments.preset or DEFAULT_PRESET, study)
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


def make_output(folder: Path | None) -> None:
    """Make the folder of `--output`, if one was given, and try to write into it."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be made or written to ({error.strerror})") from error
