"""What all work on a study is done with, opened after everything the user gave was checked."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from raytransfer.errors import InputError, WorkFailedError
from raytransfer.pipeline.checks import check_recipe
from raytransfer.pipeline.study import OWN, keep_study, with_loadable_data
from raytransfer.results.series import is_imported, series_problem
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    EvaluationUnit,
    PretrainingUnit,
    ScoringUnit,
    pretraining_units,
)
from raytransfer.runtime.environment import prepare_process, spare_libraries_collection
from raytransfer.study import Study
from raytransfer.tracking.tracker import Tracker, store_uri

Unit = PretrainingUnit | ScoringUnit | EvaluationUnit


@dataclass(frozen=True, kw_only=True)
class Session:
    """What work on a study is done with.

    Attributes:
        study: The resolved settings.
        storage: Where results are.
        tracker: Where runs are shown.
    """

    study: Study
    storage: Storage
    tracker: Tracker

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


Check = Callable[[Study, Storage], None]
"""What else is looked at before work begins; raises InputError."""


@contextmanager
def open_session(
    study: Study,
    storage: Storage,
    *,
    preset: str = OWN,
    tracking_uri: str | None = None,
    address: str | None = None,
    resume: bool = True,
    verbose: bool = False,
    check: Check | None = None,
) -> Iterator[Session]:
    """Check everything the user gave, the cheap checks first, then connect to MLflow and Ray.

    Args:
        study: As `resolved` gives it.
        storage: Where results go.
        preset: What the study began as; `study.json` keeps it.
        tracking_uri: MLflow server or store; the study's own database in the storage path where None.
        address: Ray cluster, host:port or "auto"; Ray is started on this machine where None.
        resume: Whether the storage path may hold results already.
        verbose: Whether Ray's log and what workers print is shown.
        check: Looks at more than all sessions need.

    Raises:
        InputError: Something that was given is wrong.
    """
    prepare_process()
    whole, study = study, with_loadable_data(study)
    uri = store_uri(tracking_uri, storage.root)
    storage.check()
    if not resume and storage.root.exists() and any(storage.root.iterdir()):
        raise InputError(f"--no-resume needs an empty --storage-path, {storage.root} is not")
    storage.ledger.check()
    storage.failures.check()
    for unit in pretraining_units(study):
        if series_problem(unit, storage) is not None and not is_imported(unit, storage):
            check_recipe(unit)
    if check is not None:
        check(study, storage)
    from raytransfer.pipeline.cluster import check_address, cluster  # with Ray, whose import takes seconds

    if address is not None:
        check_address(address)
    tracker = Tracker(uri, artifact_root=storage.root / "mlartifacts", own=tracking_uri is None)
    spare_libraries_collection()
    with tracker, cluster(address, study, storage, verbose=verbose):
        keep_study(storage.root, preset, whole)
        yield Session(study=study, storage=storage, tracker=tracker)
