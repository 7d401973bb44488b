"""What an experiment works with, opened after everything the user gave was checked."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raytransfer.cli.cluster import check_address, cluster
from raytransfer.cli.study import with_data_that_is_there
from raytransfer.config import InputError, StudyConfig
from raytransfer.ray_train.pretraining import series_problem
from raytransfer.results import Storage, pretraining_units
from raytransfer.tracking import Tracker


@dataclass(frozen=True, kw_only=True)
class Session:
    """What an experiment works with.

    Attributes:
        study: The resolved settings.
        storage: Where results are.
        tracker: Where runs are shown.
        options: What the command line says, the experiment's own options among it.
        output: Folder for tables that the user asked for, there already; None without `--output`.
    """

    study: StudyConfig
    storage: Storage
    tracker: Tracker
    options: argparse.Namespace
    output: Path | None = None


@contextmanager
def open_session(arguments: argparse.Namespace, study: StudyConfig) -> Iterator[Session]:
    """Check everything the user gave, the cheap checks first, then connect."""
    study, _ = with_data_that_is_there(study)
    storage = Storage(arguments.storage_path or Path("runs") / arguments.preset)
    storage.check()
    if not arguments.resume and any(storage.root.iterdir()):
        raise InputError(f"--no-resume needs an empty --storage-path, {storage.root} is not")
    storage.ledger.check()
    for unit in pretraining_units(study):
        series_problem(unit, storage)
    if arguments.address is not None:
        check_address(arguments.address)
    tracker = Tracker(
        arguments.tracking_uri or f"sqlite:///{storage.root}/mlflow.db",
        artifact_root=storage.root / "mlartifacts",
    )
    with tracker, cluster(arguments.address, study, verbose=arguments.verbose):
        output = getattr(arguments, "output", None)
        yield Session(study=study, storage=storage, tracker=tracker, options=arguments, output=output)
