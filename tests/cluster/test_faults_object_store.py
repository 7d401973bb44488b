"""A study in an object store, S3 as moto serves it: the same numbers, and nothing lost where it is away."""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress

import boto3
import pytest
from commands import SMALL, Command, dices, run, shown, undisturbed, weights
from figures import record
from moto.server import ThreadedMotoServer

from raytransfer.results.ledger import Ledger
from raytransfer.storage.files import StoragePath, resolve_path

pytestmark = pytest.mark.faults


logging.getLogger("werkzeug").setLevel(logging.ERROR)


class Store:
    """An S3 server that can be away for a while; what it holds stays."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]
        self.address = f"http://127.0.0.1:{self._port}"

    def leave(self) -> None:
        self._server.stop()

    def come_back(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    store = Store()
    for name, value in {
        "AWS_ENDPOINT_URL": store.address,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="studies")
    yield store
    with suppress(Exception):
        store.leave()


def _trials(storage: StoragePath) -> dict[str, str]:
    """Key -> when it was finished."""
    rows = Ledger(storage / "results").read("evaluation").to_pylist()
    return {row["key"]: str(row["finished_at"]) for row in rows}


def test_a_grid_in_an_object_store_survives(store: Store, tmp_path) -> None:
    storage = resolve_path("s3://studies/small")
    options = (*SMALL, "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db")
    command = Command("grid", storage, *options)
    command.wait_for(lambda: len(_trials(storage)) >= 2)
    command.kill()
    time.sleep(5)  # until Ray's processes have noticed
    finished = _trials(storage)
    command = Command("grid", storage, *options)
    command.wait_for(lambda: len(_trials(storage)) > len(finished))
    store.leave()
    time.sleep(20)
    store.come_back()
    done = command.end()
    assert done.code == 0, done.err
    done = run("grid", storage, *options)  # which brings MLflow what it missed
    assert done.code == 0, done.err
    assert " missed " not in done.err
    found = shown(tmp_path, "evaluation", "test/dice")
    assert found == dict.fromkeys(dices(storage), ("FINISHED", [1, 2]))
    assert weights(storage) == weights(undisturbed())
    assert dices(storage) == dices(undisturbed())
    now = _trials(storage)
    again = sum(now[key] != at for key, at in finished.items())
    assert again == 0, "a finished trial was computed again"
    record("a grid in S3: driver killed, then S3 away for 20 s", trials_lost=0, trials_computed_twice=0)
