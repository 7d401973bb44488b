"""Live stopping for real: Tune, Ray Train with two workers, two targets; killed, and gone on with."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raytransfer.data.registry import load_target
from raytransfer.models.checkpoints import load_encoder
from raytransfer.presets import PRESETS
from raytransfer.results.live import live_curves
from raytransfer.results.scores import read_scores
from raytransfer.results.series import is_trainable, series_problem
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit, pretraining_units
from raytransfer.scheduling.judgements import judge
from raytransfer.scheduling.registry import rule_factory
from raytransfer.scheduling.replay import replay
from raytransfer.settings import with_overrides
from raytransfer.transferability.scorer import score_encoder

pytestmark = pytest.mark.cluster

RULE = "first-peak"
SETTINGS = ["models=resnet-unet-micro", "pretraining.epochs=12", "pretraining.series=[0, 2, 12]"]
OPTIONS = [f"--rule={RULE}", *(part for setting in SETTINGS for part in ("--set", setting))]


@pytest.fixture(scope="module")
def unit() -> PretrainingUnit:
    return pretraining_units(with_overrides(PRESETS["smoke"](), SETTINGS))[0]


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("stopped")
    done = run("early_stop", path, *OPTIONS)
    assert done.code == 0, done.err
    return Storage(path), done


def decisions(storage: Storage) -> dict[str, tuple[int, int]]:
    """What the scheduler decided, as it saved it: signal -> (epoch of STOP, selected epoch)."""
    files = sorted(storage.ray.glob("early-stopping/*/stopping_rules/*.json"))
    targets = json.loads(files[-1].read_text())["targets"]
    assert all(state["memory"]["_stopped"] for state in targets.values())
    return {
        name: (state["memory"]["_last_epoch"], state["memory"]["selected_epoch"])
        for name, state in targets.items()
    }


def test_it_stops_as_the_replay_of_what_it_recorded(undisturbed, unit: PretrainingUnit) -> None:
    storage, done = undisturbed
    replayed = {
        name: replay(rule_factory(RULE)(), curve) for name, curve in live_curves(unit, storage).items()
    }
    assert decisions(storage) == {
        name: (of.stopped_epoch, of.selected_epoch) for name, of in replayed.items()
    }
    assert len({of.stopped_epoch for of in replayed.values()}) == 2, "the targets stop at different epochs"
    for judgement in judge(live_curves(unit, storage), rule_factory(RULE)):
        row = next(line for line in done.out.splitlines() if judgement.target.partition("/")[2] in line)
        assert f"{judgement.epoch} " in row
        assert f"{judgement.score:.4f}" in row


def test_the_scores_of_two_workers_are_those_of_score_encoder(undisturbed, unit: PretrainingUnit) -> None:
    storage, _ = undisturbed
    images = load_target("mni152", unit.study.target).train_images
    series = storage.series(unit.encoder, unit.scheme)
    assert {0, *(selected for _, selected in decisions(storage).values())} <= set(series.epochs())
    for epoch, sha256 in series.fingerprints().items():
        (scoring,) = unit.scorings(epoch, sha256)
        (row,) = storage.ledger.read("score", [scoring.key]).to_pylist()
        encoder, _ = load_encoder(series.path(epoch))
        expected = score_encoder(encoder, images)
        found = read_scores(row)
        assert list(found) == list(expected)
        for spec, alone in expected.items():
            assert vars(found[spec]) == pytest.approx(vars(alone), abs=1e-6)


def test_it_is_no_finished_pretraining(undisturbed, runs, unit: PretrainingUnit) -> None:
    storage, _ = undisturbed
    assert "lacks epochs [12]" in series_problem(unit, storage)
    assert is_trainable(unit, storage)
    assert (storage.pretraining_run(unit.key) / "checkpoint_manager_snapshot.json").exists()
    client = MlflowClient(f"sqlite:///{storage.root}/mlflow.db")
    (found,) = runs(storage.root, "pretraining")
    assert found.info.status == "KILLED"
    last = max(epoch for epoch, _ in decisions(storage).values())
    assert (
        f"first-peak(patience=1, min_delta=0.0, grace_period=1) at epoch {last} chose"
        in (found.data.tags["raytransfer.stopped"])
    )
    steps = [m.step for m in client.get_metric_history(found.info.run_id, "robustness/mni152/fine_tuning")]
    assert steps[: last + 1] == list(range(last + 1))
    (said,) = runs(storage.root, "early-stopping")
    assert said.info.status == "FINISHED"
    assert said.data.metrics["summary/epochs_saved"] == 12 - last
    for target, (_, selected) in decisions(storage).items():
        assert said.data.metrics[f"summary/selected_epoch/{target}"] == selected


@pytest.mark.faults
def test_a_killed_one_decides_as_an_undisturbed_one(
    undisturbed, unit: PretrainingUnit, start, run, tmp_path: Path
) -> None:
    process = start("early_stop", tmp_path, *OPTIONS)
    while len(list(tmp_path.glob("results/pretraining/*.parquet"))) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(2)  # an epoch may still be writing its rows
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("results/*/*.parquet")}
    done = run("early_stop", tmp_path, *OPTIONS)
    assert done.code == 0, done.err
    repeated = [p for p, at in before.items() if p.stat().st_mtime_ns != at]
    assert len(repeated) <= 2, "only the epoch that was under way may be trained and scored again"
    storage = Storage(tmp_path)
    assert decisions(storage) == decisions(undisturbed[0])
    for name, curve in live_curves(unit, undisturbed[0]).items():
        common = live_curves(unit, storage)[name][: len(curve)]
        assert common == curve[: len(common)]
