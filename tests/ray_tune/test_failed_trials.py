"""Work that fails, with Ray: what is lost is begun again, what is wrong with a machine ends the call.

This Ray says that it has a GPU; torch finds none.
"""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray import tune
from ray.exceptions import ActorUnavailableError

from raytransfer.data.settings import TargetSettings
from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import WorkFailedError
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.models.checkpoints import save_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.ray_compat import patch_ray
from raytransfer.ray_train.failed import Cause, Failed, FailureWatch
from raytransfer.ray_tune import grid, live_pretraining
from raytransfer.ray_tune.failed_trials import StopAfterFailures, failed_result, lost_trial, unless_passing
from raytransfer.ray_tune.scoring import score
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    EvaluationUnit,
    PretrainingUnit,
    configurations,
    evaluation_units,
    scoring_units,
)
from raytransfer.scheduling.rules import FirstPeak
from raytransfer.statistics.signals import Signal
from raytransfer.study import ResourcesSettings, Study

pytestmark = pytest.mark.cluster

SERIES = tuple(range(12))
STUDY = Study(
    models=("unet-micro",),
    protocols=("fine_tuning",),
    seeds=(0,),
    target=TargetSettings(image_size=32, slice_step=10),
    pretraining=PretrainingSettings(
        epochs=11, series=SERIES, warmup_epochs=1, batch_size=8, num_workers=1
    ),
    downstream=DownstreamSettings(epochs=1, batch_size=16),
)  # fmt: skip
HOST = socket.gethostname()
MACHINE = "failed for what is wrong with the machine, not with the work"


@pytest.fixture(scope="module")
def one_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        patch_ray(unless_passing)
        ray.init(address="local", num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def _tune(
    trainable: type[tune.Trainable], trials: int, folder: Path, *, cpus: float = 1, **run: Any
) -> tune.ResultGrid:
    """Run trials of a class that a test defines: Ray sends it as it is, and its process imports no torch."""
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": cpus}),
        param_space={"trial": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tune"),
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
            **run,
        ),
    ).fit()


def _lose(times: int, folder: Path) -> tune.ResultGrid:
    """Run three trials; the process that takes up trial 1 kills itself as often as it is told to."""
    lost = folder / "lost"
    lost.mkdir()

    class Lost(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self._begin()

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.config = new_config
            self._begin(reused=True)
            return True

        def _begin(self, *, reused: bool = False) -> None:
            earlier = len(list(lost.iterdir()))
            if self.config["trial"] == 1 and earlier < times and (reused or earlier):
                (lost / str(earlier)).touch()
                os.kill(os.getpid(), signal.SIGKILL)

        def step(self) -> dict[str, Any]:
            return {"trial_was": self.config["trial"], "done": True}

    return _tune(Lost, 3, folder)


def test_a_process_lost_while_it_takes_up_a_trial(one_cpu: None, tmp_path: Path) -> None:
    results = _lose(1, tmp_path)
    assert len(list((tmp_path / "lost").iterdir())) == 1
    assert [result.error for result in results] == [None] * 3
    assert sorted(result.metrics["trial_was"] for result in results) == [0, 1, 2]


def test_lost_too_often(one_cpu: None, tmp_path: Path) -> None:
    results = _lose(2, tmp_path)
    (error,) = results.errors
    assert not lost_trial(str(error)).permanent
    assert len([result for result in results if result.error is None]) == 2


@pytest.mark.parametrize(
    ("details", "permanent"),
    [
        ("ray.exceptions.ActorDiedError: The actor died unexpectedly", False),
        (str(ActorUnavailableError("RpcError: Connection timed out", None)), False),
        ("The node was running low on memory", True),
        ("ValueError: no number", True),
    ],
)
def test_what_would_fail_again(details: str, permanent: bool) -> None:
    assert lost_trial(details).permanent == permanent


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """One with the series that the study's units need."""
    storage = Storage(tmp_path)
    encoder = create_encoder("unet-micro")
    for epoch in SERIES:
        save_encoder(storage.series("unet-micro", "simple").path(epoch), encoder, {"epoch": epoch})
    return storage


class Shown:
    """What MLflow would show."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}

    def is_finished(self, kind: str, key: str) -> bool:
        return False

    has_model = is_finished

    def publish(self, record: Any, **how: bool) -> bool:
        return True

    def fail(self, record: Any, reason: str) -> None:
        self.failed[record.key] = reason


def _trials(storage: Storage, **resources: float) -> list[EvaluationUnit]:
    study = replace(STUDY, resources=ResourcesSettings(**resources))
    return evaluation_units(study, configurations(study), _encoders(storage))


def _encoders(storage: Storage) -> dict[tuple[str, str], dict[int, str]]:
    return {("unet-micro", "simple"): storage.series("unet-micro", "simple").fingerprints()}


def _ended(work: Callable[[], object], storage: Storage, *said: str) -> str:
    """Do work that failures of machines end; nothing is marked."""
    with pytest.raises(WorkFailedError) as raised:
        work()
    message = str(raised.value)
    for part in (*said, "the same command goes on"):
        assert part in message
    assert "\n" not in message
    assert not list(storage.failures.root.glob("*/*.json"))
    return message


def test_a_gpu_that_torch_cannot_use(one_cpu: None, storage: Storage) -> None:
    if torch.cuda.is_available():
        pytest.skip("torch has a GPU here")
    shown = Shown()
    _ended(
        lambda: grid.train_grid(_trials(storage, gpus_per_trial=1), storage, shown),
        storage,
        f"3 trials {MACHINE}: UnusableGpuError: {HOST}: torch can use no GPU there, but "
        "resources.gpus_per_trial=1 asks for one (Found no NVIDIA driver",
        f"(on {HOST}; ",
    )
    assert len(shown.failed) == 3, "more was begun"
    assert len(list(storage.failures.root.glob("evaluation/*.txt"))) == 3
    assert storage.ledger.read("evaluation").num_rows == 0


def test_a_package_that_the_nodes_lack(
    one_cpu: None, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("not_on_the_nodes")  # this process has it and no other
    monkeypatch.setitem(sys.modules, module.__name__, module)
    vars(module)["Trainable"] = tune.Trainable
    exec("class EvaluationTrial(Trainable): pass", vars(module))
    monkeypatch.setattr(grid, "EvaluationTrial", module.EvaluationTrial)
    shown = Shown()
    message = _ended(
        lambda: grid.train_grid(_trials(storage), storage, shown),
        storage,
        f"3 trials {MACHINE}: ModuleNotFoundError: No module named 'not_on_the_nodes' (on ",
    )
    assert re.search(r"\(on \d+\.\d+\.\d+\.\d+; ", message), "the node's address"
    assert 3 <= len(shown.failed) <= 6, "more was begun"


def test_files_that_are_missing_and_then_there(one_cpu: None, storage: Storage, tmp_path: Path) -> None:
    series, away = storage.series("unet-micro", "simple"), tmp_path / "away"
    units = scoring_units(STUDY, _encoders(storage))
    series.directory.rename(away)
    _ended(
        lambda: score(units, storage, Shown()),
        storage,
        f"3 scorings {MACHINE}: ",
        f"CorruptCheckpointError: checkpoint {series.directory}/epoch_000",
        "has no readable meta.json ([Errno 2] No such file",
    )

    away.rename(series.directory)
    series.path(2).rename(away)
    again, shown = Storage(tmp_path), Shown()
    score(units, again, shown)
    assert list(shown.failed) == [units[2].key], "one that is missing ends nothing"
    assert storage.ledger.read("score").num_rows == len(units) - 1
    assert [failure.host for failure in again.failures.new] == [HOST]

    away.rename(series.path(2))
    score(units, again, shown)
    assert storage.ledger.read("score").num_rows == len(units)
    assert not list(storage.failures.root.glob("*/*"))


def test_trials_that_run_come_to_their_end(
    one_cpu: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Trial 0 goes on until three others have failed, which is enough, and a little longer."""
    failed = failed_result(Failed(reason="ImportError: x", details="", cause=Cause.MACHINE, host="a"))

    class Fails(tune.Trainable):
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.config = new_config
            return True

        def step(self) -> dict[str, Any]:
            if self.config["trial"] > 0:
                (tmp_path / f"failed-{self.config['trial']}").touch()
                return failed
            over = len(list(tmp_path.glob("failed-*"))) >= 3
            time.sleep(1)
            return {"trial_was": 0, "done": over}

    watch = FailureWatch(Storage(tmp_path), "trials", 40)
    results = _tune(Fails, 40, tmp_path, cpus=0.5, stop=StopAfterFailures(watch, finish=True))
    assert watch.over
    assert [line for line in caplog.messages if line.endswith("; waiting for the 1 that run")]
    assert 3 <= len(list(tmp_path.glob("failed-*"))) <= 5
    assert results[0].metrics["trial_was"] == 0
    assert results[0].metrics["done"]


class Pictures:
    """Source images whose files are gone; counts the processes that looked for one."""

    labels = np.arange(40) % 4

    def __init__(self, folder: Path) -> None:
        self._folder, self._looked = folder, False

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> np.ndarray:
        if not self._looked:
            self._looked = True
            (self._folder / f"looked-{time.time_ns()}").touch()
        return np.fromfile(self._folder / f"{index}.png", np.uint8)


def test_a_pretraining_whose_images_are_missing_is_not_tried_again(
    one_cpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Pictures(tmp_path)
    data = ClassificationData(
        name="gone", class_names=("a", "b", "c", "d"), train=images, val=images, image_size=32
    )
    monkeypatch.setattr(live_pretraining, "load_source", lambda config: data)
    storage, shown = Storage(tmp_path / "storage"), Shown()
    unit = PretrainingUnit(study=STUDY, encoder="unet-micro", scheme="simple")
    _ended(
        lambda: live_pretraining.pretrain_until_stopped([unit], storage, shown, FirstPeak, signal=Signal()),
        storage,
        f"1 pretraining {MACHINE}: FileNotFoundError",
        f"(on {HOST}; ",
    )
    assert len(list(tmp_path.glob("looked-*"))) == 1
    assert list(shown.failed) == [unit.key]
