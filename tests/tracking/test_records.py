from dataclasses import replace
from pathlib import Path

from raytransfer.metrics.segmentation import METRICS
from raytransfer.results.storage import Storage
from raytransfer.results.units import configurations, evaluation_units, pretraining_units
from raytransfer.study import Study
from raytransfer.tracking.records import evaluation_record, pretraining_record, recorded_metrics

STUDY = Study()
SYSTEM = {"system/gpu_0_utilization_percentage": 90.0}


def test_the_epochs_of_a_trial_have_the_metrics_of_its_gpu_and_nothing_of_tune(tmp_path: Path) -> None:
    encoders = {("unet-micro", "simple"): {0: "a" * 64}}
    unit = evaluation_units(STUDY, [next(configurations(STUDY))], encoders)[0]
    measured = {"train/loss": 0.5, **{f"test/{name}": 0.1 for name in METRICS}}
    reported = {"epoch": 1, **measured, **SYSTEM, "done": False, "trial_id": "x", "time_total_s": 3.0}
    record = evaluation_record(unit, Storage(tmp_path), [reported, {"epoch": 2, **measured}])
    assert record.epochs == {1: {**measured, **SYSTEM}, 2: measured}


def test_so_have_the_epochs_of_a_pretraining(tmp_path: Path) -> None:
    names = ("train/loss", "train/top1", "learning_rate", "val/loss", "val/top1", "val/top5")
    measured = dict.fromkeys(names, 0.5)
    reports = {1: {"epoch": 1, **measured, **SYSTEM, "key": "x"}, 2: measured}
    record = pretraining_record(pretraining_units(STUDY)[0], Storage(tmp_path), reports)
    assert record.epochs == {1: {**measured, **SYSTEM}, 2: measured}
    assert record.summary == {"summary/final_top1": 0.5, "summary/best_top1": 0.5}


def test_a_pretraining_shows_what_its_method_measures(tmp_path: Path) -> None:
    study = replace(STUDY, schemes=("simsiam",))
    rows = [
        {"epoch": epoch, "metrics": {"train/loss": -accuracy, "val/knn_top1": accuracy}}
        for epoch, accuracy in ((1, 0.25), (2, 0.5), (3, 0.375))
    ]
    record = pretraining_record(pretraining_units(study)[0], Storage(tmp_path), recorded_metrics(rows))
    assert record.epochs[2] == {"train/loss": -0.5, "val/knn_top1": 0.5}
    assert record.summary == {"summary/final_knn_top1": 0.375, "summary/best_knn_top1": 0.5}
    record.pictures["curves.png"](tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[1:4] == b"PNG"
