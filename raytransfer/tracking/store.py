"""The runs of a study in MLflow: one per unit, found again by its key, under one parent per command."""

import getpass
import json
import logging
import math
import shlex
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv as pacsv
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from raytransfer.errors import InputError, reason
from raytransfer.results.provenance import git_sha, library_versions
from raytransfer.storage.databases import root_cause, sqlite_path, sqlite_problem, without_passwords
from raytransfer.storage.files import StoragePath, local_copy
from raytransfer.tracking.liveness import is_gone, signs_of_life
from raytransfer.tracking.logged_model import log_model
from raytransfer.tracking.runs import FILTERS, KINDS, RunRecord, Status, Update
from raytransfer.tracking.writer import StoreDownError, UndeliverableError

KEY_TAG, COMMAND_TAG, MODEL_TAG = "raytransfer.key", "raytransfer.command", "raytransfer.model"
FAILURE_TAG, STOP_TAG = "raytransfer.failure", "raytransfer.stopped"
SESSION_TAG, PARENT_TAG = "raytransfer.session", "mlflow.parentRunId"
LEFT = "the command ended before it was complete; the same command goes on with it"
GONE = "the command was killed; the same command goes on from what it finished"
MOST_METRICS, MOST_PARAMS = 1000, 100  # that MLflow takes at once

_log = logging.getLogger(__name__)


def _command() -> str:
    """Return the command line, passwords in addresses left out."""
    return without_passwords(shlex.join(["python", *sys.argv]))


def _origin() -> dict[str, str]:
    """Return tags that say where a run comes from."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # containers have users without a name
        user = "unknown"
    return {
        "mlflow.user": user,
        "mlflow.source.name": Path(sys.argv[0]).name,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git_sha(),
        "git_sha": git_sha(),
        "host": socket.gethostname(),
        COMMAND_TAG: _command()[:5000],
        **{f"version.{name}": version for name, version in library_versions().items()},
    }


@dataclass
class _Run:
    """What this process knows of a run.

    Attributes:
        run_id: MLflow's.
        status: Its status in MLflow; "" where this process has not begun to write it.
        described: Whether this process logged its params.
        has_model: Whether its model is logged.
        last_steps: Metric -> last step logged; None until MLflow was asked.
        reasons: Tags that say why it once ended.
    """

    run_id: str
    status: str
    described: bool = False
    has_model: bool = False
    last_steps: dict[str, int] | None = None
    reasons: set[str] = field(default_factory=set)


class RunStore:
    """Writes runs to MLflow, each call waiting for it; used by one thread after construction.

    Args:
        uri: MLflow tracking URI.
        artifact_root: Where artifacts of new experiments go; with a server, it is the server's choice.
        own: Whether it is the study's own database, which nobody has named.

    Raises:
        InputError: Nobody answers at `uri`, its file is something else, or an experiment was deleted there.
    """

    def __init__(self, uri: str, *, artifact_root: StoragePath, own: bool = False) -> None:
        self.uri = uri
        self.is_server = urlsplit(uri).scheme in ("http", "https")
        self._runs: dict[tuple[str, str], _Run] = {}
        self._parents: dict[str, str] = {}
        self._uncertain: set[tuple[str, str]] = set()
        self._origin, self._session = _origin(), uuid.uuid4().hex
        if (problem := sqlite_problem(uri, "experiments", may_be_empty=own)) is not None:
            raise self._unusable(problem, own=own)
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self._client.search_experiments(max_results=1)
            root = None if self.is_server else artifact_root
            self.experiment_ids = {kind: self._experiment(kind, root) for kind in KINDS}
            for kind in KINDS:
                self._find_runs(kind)
        except InputError:
            raise
        except Exception as error:  # MLflow's stores raise whatever their drivers do
            raise self._unusable(root_cause(error), own=own) from error

    def _unusable(self, problem: str, *, own: bool) -> InputError:
        """Build the error for a store that cannot be worked with."""
        if own:
            path = sqlite_path(self.uri)
            return InputError(
                f"MLflow's database {path} cannot be used ({problem}): if it is damaged, move it away, and "
                "the same command makes it anew from the ledger"
            )
        said = f"--tracking-uri {self.uri} does not answer as an MLflow server or store ({problem})"
        return InputError(without_passwords(said))

    def _experiment(self, kind: str, artifact_root: StoragePath | None) -> str:
        name = f"raytransfer-{kind}"
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = None if artifact_root is None else (artifact_root / kind).as_uri()
            return str(self._client.create_experiment(name, artifact_location=location))
        if found.lifecycle_stage == "deleted":
            raise InputError(
                f"MLflow experiment {name!r} is deleted: MLFLOW_TRACKING_URI={shlex.quote(self.uri)} mlflow "
                f"experiments restore --experiment-id {found.experiment_id}"
            )
        return str(found.experiment_id)

    def _find_runs(self, kind: str) -> None:
        """Learn which runs there are; end those of commands that were killed."""
        token, gone, open_runs = None, [], []
        while True:
            page = self._client.search_runs([self.experiment_ids[kind]], max_results=1000, page_token=token)
            for run in page:
                tags, runs = run.data.tags, run.info.status == "RUNNING"
                if runs and SESSION_TAG in tags and is_gone(tags):
                    gone.append(run.info.run_id)
                if (key := tags.get(KEY_TAG)) is not None:
                    self._runs[kind, key] = _Run(
                        run_id=run.info.run_id,
                        status="FINISHED" if run.info.status == "FINISHED" else "",
                        has_model=MODEL_TAG in tags,
                        reasons={FAILURE_TAG, STOP_TAG} & set(tags),
                    )
                    if runs:
                        open_runs.append((tags.get(PARENT_TAG), self._runs[kind, key]))
            token = page.token
            if not token:
                break
        for parent, left in open_runs:
            if parent in gone:
                self._end(left, "KILLED", LEFT)
        for parent in gone:
            self._end(_Run(parent, "RUNNING"), "KILLED", GONE)

    def is_finished(self, kind: str, key: str) -> bool:
        """Return whether a unit's run is complete in MLflow."""
        run = self._runs.get((kind, key))
        return run is not None and run.status == "FINISHED"

    def has_model(self, kind: str, key: str) -> bool:
        """Return whether a unit's run has its model."""
        run = self._runs.get((kind, key))
        return run is not None and run.has_model

    def deliver(self, update: Update) -> None:
        """Bring a unit's run up to date; what is already there is left as it is.

        Raises:
            StoreDownError: MLflow does not answer now; a repeated call does what is missing.
            UndeliverableError: MLflow does not take this.
        """
        with _explained(update.record.name):
            if not update.record.key:
                self._log_artifacts(self._parent(update.record.kind), update.record)
                return
            run = self._run(update.record)
            if run.status != "FINISHED":
                self._write(run, update)
            if update.record.model is not None and not run.has_model:
                self._log_model(run, update.record)

    def beat(self) -> None:
        """Say that this command runs; where another one took it for gone, its runs are open again.

        Raises:
            StoreDownError: MLflow does not answer now.
        """
        with _explained("a sign of life"):
            for parent in self._parents.values():
                for name, value in signs_of_life().items():
                    self._client.set_tag(parent, name, value)
                self._client.update_run(parent, "RUNNING")

    def close(self, status: Status, reason: str = "") -> None:
        """End what this process has open: its runs as killed, and the parents with a status, saying why.

        Raises:
            StoreDownError: MLflow does not answer now.
        """
        with _explained("the end of the command"):
            for run in self._runs.values():
                if run.status == "RUNNING":
                    self._end(run, "KILLED", LEFT)
            for parent in self._parents.values():
                self._end(_Run(parent, "RUNNING"), status, reason)

    def _run(self, record: RunRecord) -> _Run:
        known = self._runs.get((record.kind, record.key))
        if known is not None:
            return known
        filters = {name: str(record.params[name]) for name in FILTERS if name in record.params}
        tags = {**self._origin, **filters, PARENT_TAG: self._parent(record.kind)}
        run_id = self._create(record.kind, (KEY_TAG, record.key), record.name, tags)
        run = self._runs[record.kind, record.key] = _Run(run_id, "RUNNING", last_steps={})
        return run

    def _describe(self, run: _Run, record: RunRecord) -> None:
        params = [Param(name, str(value)[:6000]) for name, value in record.params.items()]
        for start in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(run.run_id, params=params[start : start + MOST_PARAMS])
        run.described = True

    def _parent(self, kind: str) -> str:
        """Return this command's run in an experiment."""
        if kind not in self._parents:
            name = f"{self._origin['mlflow.source.name']} {time.strftime('%Y-%m-%d %H:%M:%S')}"
            tags = {**self._origin, **signs_of_life()}
            self._parents[kind] = self._create(kind, (SESSION_TAG, self._session), name, tags)
        return self._parents[kind]

    def _create(self, kind: str, tag: tuple[str, str], name: str, tags: Mapping[str, str]) -> str:
        """Create a run with a tag of its own; an attempt whose answer got lost is not made twice."""
        experiment = self.experiment_ids[kind]
        if tag in self._uncertain:
            for found in self._client.search_runs([experiment], f"tags.`{tag[0]}` = '{tag[1]}'"):
                return str(found.info.run_id)
        self._uncertain.add(tag)
        created = self._client.create_run(experiment, run_name=name, tags={**tags, tag[0]: tag[1]})
        self._uncertain.discard(tag)
        return str(created.info.run_id)

    def _reopen(self, run: _Run, kind: str) -> None:
        """Go on with a run that ended, or that an earlier command left."""
        if run.last_steps is None:
            there = self._client.get_run(run.run_id).data.metrics
            histories = {name: self._client.get_metric_history(run.run_id, name) for name in there}
            run.last_steps = {name: max(m.step for m in history) for name, history in histories.items()}
            self._client.set_tag(run.run_id, PARENT_TAG, self._parent(kind))
            self._client.set_tag(run.run_id, COMMAND_TAG, self._origin[COMMAND_TAG])
        for name in sorted(run.reasons):
            self._client.delete_tag(run.run_id, name)
            run.reasons.discard(name)
        self._client.update_run(run.run_id, "RUNNING")
        run.status = "RUNNING"

    def _write(self, run: _Run, update: Update) -> None:
        record = update.record
        if run.status != "RUNNING":
            self._reopen(run, record.kind)
        if not run.described:
            self._describe(run, record)
        self._log_metrics(run, update)
        if update.ends:
            with tempfile.TemporaryDirectory() as folder:
                _write_documents(record, Path(folder))
                self._client.log_artifacts(run.run_id, folder)
            self._log_artifacts(run.run_id, record)
            self._end(run, update.status, update.reason)

    def _log_artifacts(self, run_id: str, record: RunRecord) -> None:
        for path, folder in record.artifacts.items():
            if not path.exists():
                continue
            with local_copy(path) as local:
                log = self._client.log_artifacts if local.is_dir() else self._client.log_artifact
                log(run_id, str(local), folder)

    def _log_metrics(self, run: _Run, update: Update) -> None:
        record, last = update.record, run.last_steps if run.last_steps is not None else {}
        steps = [(epoch, record.epochs[epoch]) for epoch in sorted(record.epochs)]
        if steps and update.ends:
            steps.append((steps[-1][0], record.summary))
        metrics = [
            Metric(name, value, update.times[epoch], epoch)
            for epoch, values in steps
            for name, value in values.items()
            if epoch > last.get(name, -1) and math.isfinite(value)
        ]
        for start in range(0, len(metrics), MOST_METRICS):
            batch = metrics[start : start + MOST_METRICS]
            self._client.log_batch(run.run_id, metrics=batch)
            last.update((metric.key, metric.step) for metric in batch)

    def _end(self, run: _Run, status: Status, reason: str) -> None:
        if reason:
            tag = FAILURE_TAG if status == "FAILED" else STOP_TAG
            self._client.set_tag(run.run_id, tag, reason[:5000])
            run.reasons.add(tag)
        self._client.set_terminated(run.run_id, status)
        run.status = status

    def _log_model(self, run: _Run, record: RunRecord) -> None:
        if record.model is None or not record.model.exists():
            return  # another trial of its configuration has become the best
        step = max(record.epochs, default=0)
        with local_copy(record.model) as file:
            model_id = log_model(self._client, self.experiment_ids[record.kind], run.run_id, file, step=step)
        self._client.set_tag(run.run_id, MODEL_TAG, model_id)
        run.has_model = True


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn MLflow's errors within the block into those of the writer, in one line."""
    try:
        yield
    except MlflowException as error:
        code, line = error.get_http_status_code(), f"{what}: {str(error).splitlines()[0][:300]}"
        if 400 <= code < 500 and code not in (408, 429):
            raise UndeliverableError(line) from error
        raise StoreDownError(line) from error
    except OSError as error:
        raise StoreDownError(f"{what}: {root_cause(error)}") from error
    except Exception as error:  # a model that cannot be exported, for one
        raise UndeliverableError(f"{what}: {reason(error)}") from error


def _write_documents(record: RunRecord, folder: Path) -> None:
    """Write a record's documents, pictures and metrics by epoch as files."""
    for name, document in record.documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")
    for name, draw in record.pictures.items():
        draw(folder / name)
    if record.epochs:
        names = list(dict.fromkeys(name for values in record.epochs.values() for name in values))
        rows = [
            {"epoch": epoch, **{name: record.epochs[epoch].get(name) for name in names}}
            for epoch in sorted(record.epochs)
        ]
        pacsv.write_csv(pa.Table.from_pylist(rows), folder / "curves.csv")
