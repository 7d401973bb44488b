"""MLflow runs, one per unit of work, found again by its key.

The ledger is the truth; MLflow shows it to people. Every call here is idempotent: a run that exists is gone
on with, an epoch that was logged is not logged twice, a finished run is left alone. So a trial that was
interrupted goes on in its own run, and what MLflow missed is published from the ledger later. Nothing here
waits for MLflow but the beginning and the end: a thread writes what is published.
"""

import logging
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from tqdm import tqdm

from raytransfer.errors import InputError, reason
from raytransfer.storage.databases import sqlite_url, without_passwords
from raytransfer.storage.files import StoragePath
from raytransfer.terminal import SOON, progress_bar
from raytransfer.tracking.liveness import BEAT_SECONDS
from raytransfer.tracking.runs import FINAL_PERFORMANCE, RunRecord, Status, Update
from raytransfer.tracking.writer import Writer

FLUSH_SECONDS = 60.0
BEST_FIRST = f"orderByKey=metrics.%60{quote(FINAL_PERFORMANCE, safe='')}%60&orderByAsc=false"

_log = logging.getLogger(__name__)


@contextmanager
def _countdown() -> Iterator[Callable[[int], None]]:
    """Give what shows how many runs are left, where that takes long."""
    bars: list[tqdm] = []
    most = 0

    def tell(left: int) -> None:
        nonlocal most
        most = max(most, left)
        if not bars:
            bars.append(progress_bar(left, title="runs to MLflow", unit="run", delay=SOON))
        bars[0].total = most
        bars[0].update(most - left - bars[0].n)

    try:
        yield tell
    finally:
        for bar in bars:
            bar.close()


def store_uri(given: str | None, root: StoragePath) -> str:
    """Return where a command's runs go.

    Args:
        given: What `--tracking-uri` says; None for the study's own database, `mlflow.db` in the storage path.
        root: The storage path.

    Raises:
        InputError: No database can lie in the storage path.
    """
    if given is not None:
        return given
    if not isinstance(root, Path):
        raise InputError(
            f"--tracking-uri is needed: MLflow's database cannot lie in {root}; give a server, such "
            "as the cluster's, or a file of this machine: sqlite:///mlflow.db"
        )
    return sqlite_url(root / "mlflow.db")


class Tracker:
    """Shows the runs of a study in MLflow.

    As a context manager it closes itself: the command's own runs, one per experiment, above those of the
    units, end as finished, failed (an exception, or `command_failed`) or killed (Ctrl-C).

    Args:
        uri: MLflow tracking URI.
        artifact_root: Where artifacts of new experiments go; with a server, it is the server's choice.
        own: Whether it is the study's own database, which nobody has named.

    Raises:
        InputError: Nobody answers at `uri`, its file is something else, or an experiment was deleted there.
    """

    def __init__(self, uri: str, *, artifact_root: StoragePath, own: bool = False) -> None:
        from raytransfer.tracking.store import RunStore  # with MLflow, whose import takes seconds

        self.uri = uri
        self._store = RunStore(uri, artifact_root=artifact_root, own=own)
        self._times: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        self._writer = Writer(
            f"MLflow at {without_passwords(uri)}",
            self._store.deliver,
            beat=self._store.beat,
            seconds=BEAT_SECONDS,
        )
        self._failed = False

    def is_finished(self, kind: str, key: str) -> bool:
        """Return whether a unit's run is complete in MLflow, or about to be."""
        update = self._writer.find((kind, key))
        return (update is not None and update.status == "FINISHED") or self._store.is_finished(kind, key)

    def has_model(self, kind: str, key: str) -> bool:
        """Return whether a unit's run has its model in MLflow, or is about to."""
        update = self._writer.find((kind, key))
        return (update is not None and update.record.model is not None) or self._store.has_model(kind, key)

    def publish(self, record: RunRecord, *, finished: bool = True, wait: bool = False) -> bool:
        """Hand over a unit's run as it is now; what MLflow has already is left as it is.

        Args:
            record: The unit so far.
            finished: Whether it is complete; then artifacts are logged and the run is ended.
            wait: Whether to wait where many runs wait already, for as long as MLflow takes them: for what is
                published while nothing trains.

        Returns:
            Whether it was taken. It is not where too many wait: the next command delivers it.
        """
        if self.is_finished(record.kind, record.key) and (
            record.model is None or self.has_model(record.kind, record.key)
        ):
            return True
        return self._hand_over(record, "FINISHED" if finished else "RUNNING", wait=wait)

    def fail(self, record: RunRecord, reason: str) -> None:
        """Bring a unit's run up to date and end it as failed, saying why; a later publish goes on with it."""
        self._hand_over(record, "FAILED", reason)

    def stop(self, record: RunRecord, reason: str) -> None:
        """Bring a unit's run up to date and end it as stopped, saying why; as `fail`."""
        self._hand_over(record, "KILLED", reason)

    def attach(self, kind: str, artifacts: Mapping[StoragePath, str]) -> None:
        """Log files to the command's own run in an experiment.

        Args:
            kind: Which experiment.
            artifacts: Local file or folder -> folder among the run's artifacts, "" for the top.
        """
        own = RunRecord(
            kind=kind, key="", name="the command", params={}, epochs={}, documents={}, artifacts=artifacts
        )
        self._hand_over(own, "FINISHED")

    def _hand_over(self, record: RunRecord, status: Status, reason: str = "", *, wait: bool = False) -> bool:
        now, times = int(time.time() * 1000), self._times[record.kind, record.key]
        for epoch in record.epochs:
            times.setdefault(epoch, now)
        update = Update(record=record, status=status, reason=reason, times=times)
        return self._writer.put((record.kind, record.key), update, wait=wait)

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait for MLflow until it has everything, does not answer, or the time is over; return the first."""
        return self._writer.flush(seconds) == 0

    def command_failed(self) -> None:
        """Let the command's runs end as failed, although no exception leaves the `with` block."""
        self._failed = True

    def close(self, status: Status = "FINISHED", why: str = "", *, seconds: float = FLUSH_SECONDS) -> None:
        """Flush, and end the command's runs; units it leaves unfinished are marked as killed.

        Args:
            status: How the command ended.
            why: Why it failed or was stopped.
            seconds: How long to wait at most; what MLflow has not got by then, the next command delivers.
        """
        with _countdown() as tell:
            missed = self._writer.close(seconds, lambda: self._store.close(status, why), tell=tell)
        if missed:
            uri = without_passwords(self.uri)
            _log.warning("MLflow at %s missed %d runs: the next command delivers them", uri, missed)

    def __getstate__(self) -> dict[str, str]:
        """Return what Ray Tune writes to a file beside its callbacks; nothing reads it."""
        return {"uri": self.uri}

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close("FAILED" if self._failed else "FINISHED")
        else:
            self.close("FAILED" if isinstance(error, Exception) else "KILLED", reason(error))

    def ui_hint(self) -> tuple[str | None, str]:
        """Return (command that opens the UI or None where a server runs already, link to the trials).

        Sorted by a metric, MLflow lists the trials; else it hides them under the commands that made them.
        """
        experiment = self._store.experiment_ids["evaluation"]
        view = f"#/experiments/{experiment}/runs?workflowType=machine_learning&{BEST_FIRST}"
        if self._store.is_server:
            return None, f"{self.uri.rstrip('/')}/{view}"
        return f"mlflow ui --backend-store-uri {shlex.quote(self.uri)}", f"http://127.0.0.1:5000/{view}"
