"""The study and the folders that a command line means."""

import argparse
import tempfile
from pathlib import Path

from raytransfer.cli.options import DEFAULT_PRESET
from raytransfer.errors import InputError
from raytransfer.pipeline.study import check_names, resolved
from raytransfer.presets import PRESETS
from raytransfer.results.study_file import read_study
from raytransfer.settings import with_overrides
from raytransfer.storage.files import StoragePath, resolve_path
from raytransfer.study import Study


def preset_study(arguments: argparse.Namespace) -> Study:
    """Return the preset with its changed settings; raises InputError for names that do not exist."""
    study = with_overrides(PRESETS[arguments.preset or DEFAULT_PRESET](), arguments.set)
    check_names(study)
    return study


def storage_root(arguments: argparse.Namespace) -> StoragePath:
    """Return the storage path that a command line means."""
    return resolve_path(arguments.storage_path or Path("runs") / (arguments.preset or DEFAULT_PRESET))


def resolved_study(arguments: argparse.Namespace) -> Study:
    """Return the study of the storage path, or where it has none the preset, with the changed settings.

    Raises:
        InputError: As `raytransfer.pipeline.study.resolved`, or the storage path has another preset.
    """
    recorded = read_study(storage_root(arguments))
    if recorded is None:
        study = PRESETS[arguments.preset or DEFAULT_PRESET]()
    else:
        if arguments.preset not in (None, recorded.preset):
            raise InputError(
                f"{recorded.path} holds a study of the preset {recorded.preset!r}, not "
                f"{arguments.preset!r}: use another --storage-path"
            )
        study = recorded.study
    return resolved(with_overrides(study, arguments.set), recorded)


def make_output(folder: Path | None) -> None:
    """Make the folder of `--output`, if one was given, and try to write into it."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be made or written to ({error.strerror})") from error
