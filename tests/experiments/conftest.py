"""Experiments run as a person runs them: as scripts, each in its own process."""

import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient
from scripts import Done, begin


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen]:
    return partial(begin, out=subprocess.PIPE, err=subprocess.PIPE)


@pytest.fixture(scope="session")
def run(start) -> Callable[..., Done]:
    def run(script: str, storage: Path, *arguments: str) -> Done:
        began = time.monotonic()
        process = start(script, storage, *arguments)
        out, err = process.communicate(timeout=290)
        return Done(process.returncode, out, err, time.monotonic() - began)

    return run


@pytest.fixture
def script(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a script that needs no Ray within this process; return its exit code."""
    monkeypatch.syspath_prepend(str(project / "experiments"))

    def script(name: str, *options: str) -> int:
        monkeypatch.setattr(sys, "argv", [f"experiments/{name}.py", *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(project / f"experiments/{name}.py"), run_name="__main__")
        return ended.value.code

    return script


@pytest.fixture(scope="session")
def smoke(run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The whole chain, once: for all test sessions to which RAYTRANSFER_SMOKE names the same folder."""
    kept = os.environ.get("RAYTRANSFER_SMOKE")
    storage = Path(kept) if kept else tmp_path_factory.mktemp("smoke")
    said = storage.with_name(f"{storage.name}.json")
    if said.exists():
        return storage, Done(**json.loads(said.read_text()))
    done = run("grid", storage)
    assert done.code == 0, done.err
    said.write_text(json.dumps(asdict(done)))
    return storage, done


@pytest.fixture(scope="session")
def runs() -> Callable[[Path, str], list]:
    def runs(storage: Path, kind: str) -> list:
        """The MLflow runs of one kind of unit, without those of the commands."""
        client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
        found = client.search_runs([client.get_experiment_by_name(f"raytransfer-{kind}").experiment_id])
        return [run for run in found if "raytransfer.key" in run.data.tags]

    return runs
