"""MLflow runs, one per unit of work, found again by its key.

The ledger is the truth; MLflow shows it to people. Every call here is idempotent: a run that exists is gone
on with, an epoch that was logged is not logged twice, a finished run is left alone. So a trial that was
interrupted goes on in its own run, and what MLflow missed is published from the ledger later.
"""

import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# A server that is gone must not hold training up (the default is 7 retries of 120 s).
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from raytransfer.config import InputError
from raytransfer.results import git_sha, library_versions

KINDS = ("pretraining", "robustness", "downstream")
KEY_TAG, FAILURE_TAG, STOP_TAG = "raytransfer.key", "raytransfer.failure", "raytransfer.stopped"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What MLflow shows of one unit of work.

    Attributes:
        kind: "pretraining", "robustness" or "downstream"; each is one MLflow experiment.
        key: Key of the unit; found again by it.
        name: Run name for people.
        params: What one filters by.
        epochs: Epoch -> metrics, at the step of that epoch.
        documents: Artifacts by name, as JSON values: config.json, the resolved settings, and others.
        artifacts: Local file or folder -> folder among the run's artifacts, "" for the top.
    """

    kind: str
    key: str
    name: str
    params: Mapping[str, Any]
    epochs: Mapping[int, Mapping[str, float]]
    documents: Mapping[str, Mapping[str, Any]]
    artifacts: Mapping[Path, str] = field(default_factory=dict)


def _root_cause(error: BaseException) -> str:
    """Return the first line of what an error began with; MLflow wraps HTTP libraries that wrap sockets."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


@dataclass
class _Run:
    run_id: str
    last_epoch: int
    finished: bool
    described: bool = False  # whether this process has logged its params
    open: bool = False  # whether this process has it in status RUNNING


class Tracker:
    """Writes the runs of a study.

    Args:
        uri: MLflow tracking URI.
        artifact_root: Where artifacts of new experiments go; with a server, it is the server's choice.

    Raises:
        InputError: Nobody answers at `uri`, or an experiment was deleted there.
    """

    def __init__(self, uri: str, *, artifact_root: Path) -> None:
        self.uri = uri
        self._runs: dict[tuple[str, str], _Run] = {}
        for chatty in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self._client.search_experiments(max_results=1)
            root = None if self._is_server else artifact_root
            self.experiment_ids = {kind: self._experiment(kind, root) for kind in KINDS}
            for kind in KINDS:
                self._find_runs(kind)
        except InputError:
            raise
        except Exception as error:  # MLflow's stores raise whatever their drivers do
            raise InputError(
                f"--tracking-uri {uri} does not answer as an MLflow server or store ({_root_cause(error)})"
            ) from error

    def _experiment(self, kind: str, artifact_root: Path | None) -> str:
        name = f"raytransfer-{kind}"
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = None if artifact_root is None else (artifact_root / kind).as_uri()
            return str(self._client.create_experiment(name, artifact_location=location))
        if found.lifecycle_stage == "deleted":
            raise InputError(
                f"MLflow experiment {name!r} is deleted at {self.uri}: mlflow experiments restore "
                f"--experiment-id {found.experiment_id}"
            )
        return str(found.experiment_id)

    def _find_runs(self, kind: str) -> None:
        token = None
        while True:
            page = self._client.search_runs([self.experiment_ids[kind]], max_results=1000, page_token=token)
            for run in page:
                key = run.data.tags.get(KEY_TAG)
                if key is not None:
                    finished = run.info.status == "FINISHED"
                    last = -1 if finished else self._last_epoch(run)
                    self._runs[kind, key] = _Run(run.info.run_id, last, finished)
            token = page.token
            if not token:
                return

    def _last_epoch(self, run: Any) -> int:
        steps = [
            metric.step
            for name in run.data.metrics
            for metric in self._client.get_metric_history(run.info.run_id, name)
        ]
        return max(steps, default=-1)

    def is_finished(self, kind: str, key: str) -> bool:
        """Return whether a unit's run is complete in MLflow."""
        run = self._runs.get((kind, key))
        return run is not None and run.finished

    def publish(self, record: RunRecord, *, finished: bool = True) -> bool:
        """Bring a unit's run up to date; what is already there is left as it is.

        Args:
            record: The unit so far.
            finished: Whether it is complete; then artifacts are logged and the run is ended.

        Returns:
            Whether MLflow took it. A store that fails is logged as a warning and does not stop the work.
        """
        try:
            self._publish(record, finished)
        except (MlflowException, OSError) as error:
            reason = str(error).splitlines()[0]
            _log.warning("MLflow missed %s (delivered by the next command): %s", record.name, reason)
            return False
        return True

    def _publish(self, record: RunRecord, finished: bool) -> None:
        run = self._runs.get((record.kind, record.key)) or self._start(record)
        if run.finished:
            return
        if not run.open:
            self._client.update_run(run.run_id, "RUNNING")
            run.open = True
        if not run.described:
            params = [Param(name, str(value)) for name, value in record.params.items()]
            tags = [RunTag(f"version.{name}", version) for name, version in library_versions().items()]
            self._client.log_batch(run.run_id, params=params, tags=tags)
            run.described = True
        now = int(time.time() * 1000)
        new = sorted(epoch for epoch in record.epochs if epoch > run.last_epoch)
        metrics = [
            Metric(name, value, now, epoch)
            for epoch in new
            for name, value in record.epochs[epoch].items()
            if math.isfinite(value)
        ]
        for start in range(0, len(metrics), 1000):
            self._client.log_batch(run.run_id, metrics=metrics[start : start + 1000])
        if new:
            run.last_epoch = new[-1]
        if finished:
            for name, document in record.documents.items():
                self._client.log_dict(run.run_id, dict(document), name)
            for path, folder in record.artifacts.items():
                if path.is_dir():
                    self._client.log_artifacts(run.run_id, str(path), folder)
                elif path.exists():
                    self._client.log_artifact(run.run_id, str(path), folder)
            self._client.set_terminated(run.run_id, "FINISHED")
            run.finished, run.open = True, False

    def _start(self, record: RunRecord) -> _Run:
        created = self._client.create_run(
            self.experiment_ids[record.kind],
            run_name=record.name,
            tags={KEY_TAG: record.key, "mlflow.source.git.commit": git_sha()},
        )
        run = self._runs[record.kind, record.key] = _Run(created.info.run_id, -1, finished=False)
        return run

    def fail(self, record: RunRecord, reason: str) -> None:
        """Bring a unit's run up to date and end it as failed, saying why; a later publish goes on with it."""
        if self.publish(record, finished=False):
            self._end(self._runs[record.kind, record.key], "FAILED", {FAILURE_TAG: reason[:5000]})

    def stop(self, record: RunRecord, reason: str) -> None:
        """Bring a unit's run up to date and end it as stopped; a later publish goes on with it."""
        if self.publish(record, finished=False):
            self._end(self._runs[record.kind, record.key], "KILLED", {STOP_TAG: reason[:5000]})

    def close(self) -> None:
        """Mark the runs that this process leaves unfinished as killed; a later publish goes on with them."""
        for run in self._runs.values():
            if run.open:
                self._end(run, "KILLED", {})

    def _end(self, run: _Run, status: str, tags: Mapping[str, str]) -> None:
        try:
            for name, value in tags.items():
                self._client.set_tag(run.run_id, name, value)
            self._client.set_terminated(run.run_id, status)
            run.open = False
        except (MlflowException, OSError) as error:
            _log.warning("MLflow missed the end of run %s: %s", run.run_id, str(error).splitlines()[0])

    @property
    def _is_server(self) -> bool:
        return urlsplit(self.uri).scheme in ("http", "https")

    def ui_hint(self) -> tuple[str | None, str]:
        """Return (command that opens the UI or None where a server runs already, link to the runs)."""
        view = f"#/experiments/{self.experiment_ids['downstream']}/runs?workflowType=machine_learning"
        if self._is_server:
            return None, f"{self.uri.rstrip('/')}/{view}"
        return f"mlflow ui --backend-store-uri {self.uri}", f"http://127.0.0.1:5000/{view}"
