"""The whole job on real data: what it leaves behind, and that nothing is computed twice."""

import json
import math
import shutil
import socket
from pathlib import Path

import mlflow
import pytest
import torch
from mlflow import MlflowClient

from raytransfer.evaluation.trained import load_trained
from raytransfer.results.ledger import Ledger
from raytransfer.results.schemas import read_rows
from raytransfer.results.scores import read_scores
from raytransfer.results.storage import Storage
from raytransfer.statistics.signals import Signal

pytestmark = pytest.mark.cluster

COUNTS = {"pretraining": 2 * 8, "score": 2 * 3, "evaluation": 2 * 3 * 2}
RUNS = {"pretraining": 2, "score": 6, "evaluation": 12}


@pytest.mark.alone
def test_the_chain_ends_in_time_with_an_answer(smoke) -> None:
    storage, done = smoke
    assert done.seconds < 240, "84 s on a quiet machine, 178 s on one of half its speed"
    for part in ("unet-micro", "resnet-unet-micro", "frozen", "epoch 8", "random init.", "robustness"):
        assert part in done.out
    assert f"mlflow ui --backend-store-uri sqlite:///{storage}/mlflow.db" in done.out
    assert "workflowType=machine_learning" in done.out
    assert (storage / "answer.png").stat().st_size > 10_000


def test_progress_was_shown(smoke) -> None:
    _, done = smoke
    for part in ("pretraining unet-micro simple: 100%", "scoring: 100%", "downstream grid: 100%"):
        assert part in done.err


def test_the_ledger_has_everything_once(smoke) -> None:
    storage, _ = smoke
    ledger = Ledger(storage / "results")
    ledger.check()
    assert {kind: ledger.read(kind).num_rows for kind in COUNTS} == COUNTS
    trials = read_rows(ledger.read("evaluation"))
    assert len({(t["model"], t["epoch"], t["protocol"], t["seed"]) for t in trials}) == 12
    for trial in trials:
        assert 0 <= trial["metrics"]["jaccard"] <= trial["metrics"]["dice"] < 1
        assert [epoch["epoch"] for epoch in trial["history"]] == [1, 2]
        assert trial["history"][-1]["metrics"]["test/dice"] == trial["metrics"]["dice"]
    for row in ledger.read("score").to_pylist():
        choices = read_scores(row)
        assert len(choices) == len(row["scores"]) == 3 * 5 * 5 * 2
        assert all(math.isfinite(s.value) and s.standard_error >= 0 for s in choices.values())
        for protocol in ("frozen", "fine_tuning"):
            chosen = choices[Signal().choice(row["encoder"], protocol)]
            assert 0 < chosen.value <= 1
            assert 0 < chosen.standard_error < 0.1


def test_workers_that_share_a_scoring_find_the_same(smoke, run, tmp_path: Path) -> None:
    storage, _ = smoke
    for folder in ("pretraining", "results/pretraining"):
        shutil.copytree(storage / folder, tmp_path / folder)
    done = run(
        "robustness", tmp_path, "--set", "robustness.num_workers=3", "--set", "robustness.batch_size=7",
        "--set", "models=unet-micro",
    )  # fmt: skip
    assert done.code == 0, done.err
    expected, found = (
        {row["key"]: row["scores"] for row in Ledger(root / "results").read("score").to_pylist()}
        for root in (storage, tmp_path)
    )
    assert len(found) == COUNTS["score"] / 2
    for key, scores in found.items():
        for a, b in zip(scores, expected[key], strict=True):
            assert a == pytest.approx(b, abs=1e-6)


def test_mlflow_has_one_run_for_each(smoke, runs) -> None:
    storage, _ = smoke
    for kind, count in RUNS.items():
        shown = runs(storage, kind)
        assert len(shown) == len({run.data.tags["raytransfer.key"] for run in shown}) == count
        assert {run.info.status for run in shown} == {"FINISHED"}
    trials = {row["key"]: row for row in read_rows(Ledger(storage / "results").read("evaluation"))}
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    for run in runs(storage, "evaluation"):
        row = trials[run.data.tags["raytransfer.key"]]
        expected = {
            name: str(row[name]) for name in ("model", "encoder", "scheme", "epoch", "protocol", "seed")
        }
        assert {name: run.data.params[name] for name in expected} == expected
        assert run.data.params["dataset"] == "mni152"
        assert run.data.metrics["test/dice"] == row["metrics"]["dice"]
        history = client.get_metric_history(run.info.run_id, "test/dice")
        assert [(m.step, m.value) for m in history] == [
            (step["epoch"], step["metrics"]["test/dice"]) for step in row["history"]
        ]
        files = {f.path for f in client.list_artifacts(run.info.run_id)}
        assert files >= {"config.json", "predictions.png", "curves.csv", "curves.png"}
        assert run.data.metrics["summary/final_performance"] == row["metrics"]["dice"]
        parent = client.get_run(run.data.tags["mlflow.parentRunId"])
        assert parent.info.status == "FINISHED"
        assert parent.data.tags["raytransfer.command"].startswith("python experiments/grid.py --preset smoke")


def test_the_best_model_of_each_configuration_can_be_used(
    smoke, monkeypatch: pytest.MonkeyPatch, runs
) -> None:
    """With one seed, every trial is the best of its configuration. No pickle is read."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    storage, _ = smoke
    run = next(run for run in runs(storage, "evaluation") if run.data.params["protocol"] == "fine_tuning")
    uri = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{storage}/mlflow.db")
    try:
        model = mlflow.pytorch.load_model(f"runs:/{run.info.run_id}/model")
        signature = mlflow.models.get_model_info(f"runs:/{run.info.run_id}/model").signature
    finally:
        mlflow.set_tracking_uri(uri)
    assert signature.inputs.inputs[0].shape == (-1, 3, 64, 64)
    trained, about = load_trained(Storage(storage).trained(run.data.tags["raytransfer.key"]))
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model(images), trained(images))
    assert signature.outputs.inputs[0].shape == (-1, len(about["class_names"]), 64, 64)
    assert all("raytransfer.model" in run.data.tags for run in runs(storage, "evaluation"))


def test_mlflow_has_the_encoders(smoke, runs) -> None:
    storage, _ = smoke
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    for run in runs(storage, "pretraining"):
        assert [m.step for m in client.get_metric_history(run.info.run_id, "val/top1")] == list(range(1, 9))
        folders = [f.path for f in client.list_artifacts(run.info.run_id, "encoders")]
        assert folders == [f"encoders/epoch_{epoch:04d}" for epoch in (0, 2, 8)]
        files = client.list_artifacts(run.info.run_id, folders[0])
        assert {Path(f.path).name for f in files} == {"encoder.safetensors", "meta.json"}


def test_the_series_says_what_it_is(smoke) -> None:
    storage, _ = smoke
    folder = storage / "pretraining/unet-micro/simple"
    assert sorted(path.name for path in folder.iterdir()) == ["epoch_0000", "epoch_0002", "epoch_0008"]
    meta = json.loads((folder / "epoch_0008/meta.json").read_text())
    assert (meta["epoch"], meta["source"], meta["image_size"]) == (8, "photographs", 64)
    assert meta["versions"]["torch"]
    assert 0 <= meta["metrics"]["val/top1"] <= meta["metrics"]["val/top5"] <= 1
    trial = next((storage / "evaluation").iterdir())
    config = json.loads((trial / "config.json").read_text())
    assert config["results"]["test/dice"] > 0
    assert config["versions"]["torch"]


@pytest.mark.alone
def test_a_second_run_computes_nothing(smoke, run, runs) -> None:
    storage, first = smoke
    before = {path: path.stat().st_mtime_ns for path in storage.glob("results/*/*.parquet")}
    second = run("grid", storage)
    assert second.code == 0
    assert second.seconds < 90
    assert second.out == first.out
    assert "0%" not in second.err
    assert "2 of 2 pretrainings, 6 of 6 scorings, 12 of 12 trials are done" in second.err
    assert {path: path.stat().st_mtime_ns for path in storage.glob("results/*/*.parquet")} == before
    assert {kind: len(runs(storage, kind)) for kind in RUNS} == RUNS


def test_a_gpu_that_torch_cannot_use_ends_the_command(
    run, tmp_path: Path, runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster that says that it has a GPU."""
    if torch.cuda.is_available():
        pytest.skip("torch has a GPU here")
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"GPU": 1}')
    done = run(
        "grid", tmp_path, "--set", "models=unet-micro", "--set", "pretraining.num_workers=1",
        "--set", "resources.gpu_pretraining=true",
    )  # fmt: skip
    assert done.code == 1, done.err
    assert done.error.startswith(
        "error: 1 pretraining failed for what is wrong with the machine, not with the work: "
        f"UnusableGpuError: {socket.gethostname()}: torch can use no GPU there, but "
        "resources.gpu_pretraining=true asks for one (Found no NVIDIA driver on your system."
    )
    assert "the same command goes on" in done.error
    assert "Traceback" not in done.err
    assert [path.suffix for path in tmp_path.glob("failed/*/*")] == [".txt"], "the whole error, and no mark"
    assert not list(tmp_path.glob("results/*/*"))
    (failed,) = runs(tmp_path, "pretraining")
    assert failed.info.status == "FAILED"
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.get_run(failed.data.tags["mlflow.parentRunId"]).info.status == "FAILED"
