"""Trials that Tune loses, with Ray: each is begun again, whatever its process was doing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.exceptions import ActorUnavailableError

from raytransfer.ray_tune.failed_trials import lost_trial

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def one_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


class Lost(tune.Trainable):
    """Kills its process where it takes up trial 1, as often as it is told to."""

    def setup(self, config: dict[str, Any], times: int = 0, folder: Path = Path()) -> None:
        self._times, self._folder = times, folder
        self._begin()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        self._begin(reused=True)
        return True

    def _begin(self, *, reused: bool = False) -> None:
        earlier = len(list(self._folder.iterdir()))
        if self.config["trial"] == 1 and earlier < self._times and (reused or earlier):
            (self._folder / str(earlier)).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def step(self) -> dict[str, Any]:
        return {"trial_was": self.config["trial"], "done": True}


def _trials(times: int, folder: Path) -> tune.ResultGrid:
    (folder / "lost").mkdir()
    trainable = tune.with_parameters(Lost, times=times, folder=folder / "lost")
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"trial": tune.grid_search([0, 1, 2])},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tune"),
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()


def test_a_process_lost_while_it_takes_up_a_trial(one_cpu: None, tmp_path: Path) -> None:
    results = _trials(1, tmp_path)
    assert len(list((tmp_path / "lost").iterdir())) == 1
    assert [result.error for result in results] == [None] * 3
    assert sorted(result.metrics["trial_was"] for result in results) == [0, 1, 2]


def test_lost_too_often(one_cpu: None, tmp_path: Path) -> None:
    results = _trials(2, tmp_path)
    (error,) = results.errors
    assert not lost_trial(str(error)).lasting
    assert len([result for result in results if result.error is None]) == 2


@pytest.mark.parametrize(
    ("details", "lasting"),
    [
        ("ray.exceptions.ActorDiedError: The actor died unexpectedly", False),
        (str(ActorUnavailableError("RpcError: Connection timed out", None)), False),
        ("The node was running low on memory", True),
        ("ValueError: no number", True),
    ],
)
def test_what_would_fail_again(details: str, lasting: bool) -> None:
    assert lost_trial(details).lasting == lasting
