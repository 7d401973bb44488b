"""An MLflow server over HTTP that is slow, loses answers, hangs, or is killed: training does not notice."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from werkzeug.serving import WSGIRequestHandler, make_server

from raytransfer.tracking import tracker, writer
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

EPOCHS = range(1, 6)


class Server:
    """MLflow's own server application, in a thread, with trouble to order."""

    def __init__(self, root: Path) -> None:
        os.environ["_MLFLOW_SERVER_FILE_STORE"] = self.database = f"sqlite:///{root}/mlflow.db"
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "mlflow-artifacts:/"
        os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = str(root / "artifacts")
        os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
        from mlflow.server import app

        self._app, self.port = app, 0
        self.before: Callable[[str], None] = lambda path: None
        self.after: Callable[[str], None] = lambda path: None
        self.start()

    def _answer(self, environ: dict, start_response: Callable) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.before(path)
        answer = list(self._app(environ, start_response))
        self.after(path)
        return answer

    def start(self) -> None:
        class Quiet(WSGIRequestHandler):
            def log(self, *args: object) -> None:
                """Say nothing."""

        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True, request_handler=Quiet)
        self._server.daemon_threads = True
        self.port = self._server.port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}).start()

    def kill(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def running(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kept, folder = dict(os.environ), tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    server = Server(folder)
    Tracker(server.uri, artifact_root=Path("/nowhere")).close()  # its first answer takes seconds
    yield server
    server.kill()
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(writer, "INTERVAL_SECONDS", 0.05)
    yield running
    running.before = running.after = lambda path: None


def _record(key: str, epochs: int) -> RunRecord:
    return RunRecord(
        kind="evaluation", key=key, name=f"trial {key}", params={"seed": 0},
        epochs={epoch: {"test/dice": epoch / 10} for epoch in range(1, epochs + 1)},
        documents={"config.json": {"seed": 0}},
    )  # fmt: skip


def _train(track: Tracker, key: str, seconds_per_epoch: float = 0.1) -> float:
    """Report epochs as a trial does; return the seconds that took beyond training."""
    spent = 0.0
    for epoch in EPOCHS:
        time.sleep(seconds_per_epoch)
        began = time.monotonic()
        track.publish(_record(key, epoch), finished=epoch == EPOCHS[-1])
        spent += time.monotonic() - began
    return spent


def _runs(server: Server, key: str) -> list:
    client = MlflowClient(server.database)
    experiment = client.get_experiment_by_name("raytransfer-evaluation")
    return client.search_runs([experiment.experiment_id], f"tags.`raytransfer.key` = '{key}'")


def _check_whole(server: Server, key: str) -> None:
    (run,) = _runs(server, key)
    assert run.info.status == "FINISHED"
    history = MlflowClient(server.database).get_metric_history(run.info.run_id, "test/dice")
    assert sorted(metric.step for metric in history) == list(EPOCHS), "a step is missing or there twice"


def _slow(seconds: float) -> Callable[[str], None]:
    return lambda path: time.sleep(seconds)


def _losing(part: str) -> Callable[[str], None]:
    """Lose the first answer to requests of a kind: the server has done what was asked."""
    lost = []

    def lose(path: str) -> None:
        if path.endswith(part) and not lost:
            lost.append(path)
            raise ConnectionAbortedError(part)

    return lose


def _failing(times: int) -> Callable[[str], None]:
    left = list(range(times))

    def fail(path: str) -> None:
        if path.endswith("log-batch") and left:
            left.pop()
            raise ConnectionAbortedError

    return fail


TROUBLES = {
    "none": (None, None),
    "slow": (_slow(0.2), None),
    "loses-create": (None, _losing("runs/create")),
    "loses-values": (None, _losing("runs/log-batch")),
    "loses-end": (None, _losing("runs/update")),
    "fails-at-first": (_failing(3), None),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_does_not_slow_training_and_everything_arrives_once(server: Server, name: str) -> None:
    track = Tracker(server.uri, artifact_root=Path("/nowhere"))
    before, after = TROUBLES[name]
    server.before, server.after = before or server.before, after or server.after
    assert _train(track, name) < 0.05
    deadline = time.monotonic() + 20
    while not track.flush(20) and time.monotonic() < deadline:
        time.sleep(0.05)
    track.close()
    _check_whole(server, name)


def test_a_server_killed_in_between_is_caught_up_with(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    track = Tracker(server.uri, artifact_root=Path("/nowhere"))
    track.publish(_record("back", 2), finished=False)
    assert track.flush()
    server.kill()
    try:
        assert _train(track, "back") < 0.05
        assert not track.flush(5)
    finally:
        server.start()
    assert caplog.text.count("does not take runs now") == 1
    assert track.flush(20)
    track.close()
    _check_whole(server, "back")


def _hang(path: str) -> None:
    if path.startswith("/api"):
        time.sleep(5)


@pytest.mark.parametrize("trouble", ["killed", "hanging"])
def test_what_a_dead_server_missed_the_next_command_delivers(
    server: Server, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    track = Tracker(server.uri, artifact_root=Path("/nowhere"))
    track.publish(_record(trouble, 2), finished=False)
    assert track.flush()
    if trouble == "killed":
        server.kill()
    else:
        server.before = _hang
    try:
        assert _train(track, trouble) < 0.05
        began = time.monotonic()
        track.close(seconds=5)
        assert time.monotonic() - began < 6
    finally:
        server.before = lambda path: None
        if trouble == "killed":
            server.start()
    assert "missed 1 runs: the next command delivers them" in caplog.text
    with Tracker(server.uri, artifact_root=Path("/nowhere")) as later:
        later.publish(_record(trouble, EPOCHS[-1]))
    _check_whole(server, trouble)


def test_the_queue_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not taken is delivered by the next command: nothing piles up meanwhile."""
    track = Tracker(server.uri, artifact_root=Path("/nowhere"))
    server.kill()
    try:
        taken = [track.publish(_record(f"many-{number}", 1)) for number in range(writer.SIZE + 20)]
        assert sum(taken) == writer.SIZE
        assert track.publish(_record("many-0", 2)), "a newer record takes the place of the older"
        began = time.monotonic()
        assert not track.publish(_record("waits", 1), wait=True), "of a dead server nothing is waited for"
        assert time.monotonic() - began < 5
        with suppress(KeyboardInterrupt):
            track.close(seconds=2)
    finally:
        server.start()
    assert tracker.FLUSH_SECONDS <= 60
