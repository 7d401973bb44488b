from pathlib import Path

from raytransfer.metrics.segmentation import METRICS
from raytransfer.results.storage import Storage
from raytransfer.results.units import configurations, evaluation_units, pretraining_units
from raytransfer.study import Study
from raytransfer.tracking.records import PRETRAINING_METRICS, evaluation_record, pretraining_record

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
    measured = dict.fromkeys(PRETRAINING_METRICS, 0.5)
    rows = [{"epoch": 1, **measured, **SYSTEM, "key": "x"}, {"epoch": 2, **measured}]
    record = pretraining_record(pretraining_units(STUDY)[0], Storage(tmp_path), rows)
    assert record.epochs == {1: {**measured, **SYSTEM}, 2: measured}
