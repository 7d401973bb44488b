"""What an experiment works with, opened after everything the user gave was checked."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raytransfer.cli.checks import check_recipe
from raytransfer.cli.cluster import check_address, cluster
from raytransfer.cli.study import keep_study, storage_root, with_loadable_data
from raytransfer.errors import InputError, WorkFailedError
from raytransfer.ray_train.pretraining import is_imported, series_problem
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    EvaluationUnit,
    PretrainingUnit,
    ScoringUnit,
    pretraining_units,
)
from raytransfer.runtime.environment import spare_libraries_collection
from raytransfer.study import Study
from raytransfer.tracking.tracker import Tracker, store_uri

Unit = PretrainingUnit | ScoringUnit | EvaluationUnit


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

    study: Study
    storage: Storage
    tracker: Tracker
    options: argparse.Namespace
    output: Path | None = None

    def finish_all(self, units: Iterable[Unit]) -> int:
        """Say how many of the units are done, by what they are, then as `finish`."""
        units, storage, said = list(units), self.storage, []
        series = [unit for unit in units if isinstance(unit, PretrainingUnit)]
        if series:
            done = sum(series_problem(unit, storage) is None for unit in series)
            said.append(f"{done} of {len(series)} pretrainings")
        for kind, name in (("score", "scorings"), ("evaluation", "trials")):
            keys = [unit.key for unit in units if unit.kind == kind]
            if keys:
                said.append(f"{len(storage.ledger.finished(kind, keys))} of {len(keys)} {name}")
        print(f"{', '.join(said)} are done", file=sys.stderr)
        return self.finish(units)

    def finish(self, units: Iterable[Unit]) -> int:
        """Say on stderr what failed, now and before; return the exit code.

        Args:
            units: All that the command wants done.

        Raises:
            WorkFailedError: Names the pretrainings and scorings that failed now.
        """
        failures, ledger = self.storage.failures, self.storage.ledger
        wanted: dict[str, list[str]] = {}
        for unit in units:
            wanted.setdefault(unit.kind, []).append(unit.key)
        failed = [of for kind, keys in wanted.items() for of in failures.known(kind, keys)]
        lines = {
            of: f"{of.reason} ({failures.details(of.kind, of.key)})" for of in failed if of in failures.new
        }
        for of, line in lines.items():
            if of.kind == "evaluation":
                print(f"failed: {of.name}: {line}", file=sys.stderr)
        before = [of for of in failed if of not in lines]
        if before:
            first, more = before[0], ", ..." if before[1:] else ""
            print(
                f"left out: {len(before)} that failed before ({first.name}: {first.reason}, on {first.host}"
                f"{more}): --retry-failed runs just those",
                file=sys.stderr,
            )
        known = {(of.kind, of.key) for of in failed}
        if failures.retry and any(
            {key for key in keys if (kind, key) not in known} - ledger.finished(kind, keys)
            for kind, keys in wanted.items()
            if kind != "pretraining"
        ):
            print("left as it is: what did not fail; without --retry-failed it is done", file=sys.stderr)
        work = {"pretraining": "pretraining", "score": "scoring"}
        stopped = [
            f"{work[of.kind]} {of.name} failed: {line}" for of, line in lines.items() if of.kind in work
        ]
        if stopped:
            raise WorkFailedError("; ".join(stopped))
        return 1 if failed else 0


Check = Callable[[Study, Storage, argparse.Namespace], None]
"""What an experiment looks at in its own options; raises InputError."""


@contextmanager
def open_session(
    arguments: argparse.Namespace, study: Study, check: Check | None = None
) -> Iterator[Session]:
    """Check everything the user gave, the cheap checks first, then connect."""
    whole, study = study, with_loadable_data(study)
    storage = Storage(storage_root(arguments), retry_failed=arguments.retry_failed)
    uri = store_uri(arguments.tracking_uri, storage.root)
    storage.check()
    if not arguments.resume and storage.root.exists() and any(storage.root.iterdir()):
        raise InputError(f"--no-resume needs an empty --storage-path, {storage.root} is not")
    storage.ledger.check()
    storage.failures.check()
    for unit in pretraining_units(study):
        if series_problem(unit, storage) is not None and not is_imported(unit, storage):
            check_recipe(unit)
    if check is not None:
        check(study, storage, arguments)
    if arguments.address is not None:
        check_address(arguments.address)
    tracker = Tracker(uri, artifact_root=storage.root / "mlartifacts", own=arguments.tracking_uri is None)
    spare_libraries_collection()
    with tracker, cluster(arguments.address, study, storage, verbose=arguments.verbose):
        keep_study(arguments, whole, storage.root)
        output = getattr(arguments, "output", None)
        yield Session(study=study, storage=storage, tracker=tracker, options=arguments, output=output)
