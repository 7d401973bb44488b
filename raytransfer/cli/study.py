"""The study that a command line describes, and which of its data is there."""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from raytransfer.cli.options import Presets
from raytransfer.config import InputError, StudyConfig, unknown_name, with_overrides
from raytransfer.data import check_data, target_problem
from raytransfer.data.source_augmentation import SCHEMES
from raytransfer.models import encoder_of, num_levels
from raytransfer.transferability import DISTANCES


def _check_names(study: StudyConfig) -> None:
    check_data(study.source, study.datasets, study.target)
    for kind, name, known in (
        *(("pretraining scheme", scheme, SCHEMES) for scheme in study.schemes),
        ("distance", study.robustness.distance, DISTANCES),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    for model in study.models:
        count = num_levels(encoder_of(model))
        if not 1 <= study.robustness.level_number(count) <= count:
            level = study.robustness.level
            raise InputError(f"robustness.level={level} does not exist: {model} has levels 1 to {count}")


def resolved_study(arguments: argparse.Namespace, presets: Presets) -> StudyConfig:
    """Return the preset with its changed settings; raises InputError for names that do not exist."""
    study = with_overrides(presets[arguments.preset](), arguments.set)
    _check_names(study)
    return study


def with_data_that_is_there(study: StudyConfig) -> tuple[StudyConfig, tuple[str, ...]]:
    """Leave out the datasets that cannot be loaded here, naming each on stderr; return why, a line each.

    Raises:
        InputError: None is left.
    """
    problems = {name: target_problem(name, study.target) for name in study.datasets}
    there = tuple(name for name, problem in problems.items() if problem is None)
    says = tuple(filter(None, problems.values()))
    if not there:
        raise InputError("; ".join(says))
    for problem in says:
        print(f"missing: {problem}", file=sys.stderr)
    return replace(study, datasets=there), says


def make_output(folder: Path | None) -> None:
    """Make the folder of `--output`, if one was given, and try to write into it."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be made or written to ({error.strerror})") from error
