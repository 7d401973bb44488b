"""Experiments run as a person runs them: as scripts, each in its own process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str
    seconds: float


@pytest.fixture(scope="session")
def start(project: Path) -> Callable[..., subprocess.Popen]:
    def start(script: str, storage: Path, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [
                sys.executable, f"experiments/{script}.py", "--preset", "smoke",
                "--storage-path", str(storage), *arguments,
            ],
            cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else ignored in a background
        )  # fmt: skip

    return start


@pytest.fixture(scope="session")
def run(start) -> Callable[..., Done]:
    def run(script: str, storage: Path, *arguments: str) -> Done:
        began = time.monotonic()
        process = start(script, storage, *arguments)
        out, err = process.communicate(timeout=280)
        return Done(process.returncode, out, err, time.monotonic() - began)

    return run


@pytest.fixture(scope="session")
def smoke(run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The whole chain, once."""
    storage = tmp_path_factory.mktemp("smoke")
    done = run("grid", storage)
    assert done.code == 0, done.err
    return storage, done


@pytest.fixture(scope="session")
def runs() -> Callable[[Path, str], list]:
    def runs(storage: Path, kind: str) -> list:
        """The MLflow runs of one kind of unit, without those of the commands."""
        client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
        found = client.search_runs([client.get_experiment_by_name(f"raytransfer-{kind}").experiment_id])
        return [run for run in found if "raytransfer.key" in run.data.tags]

    return runs
