from pathlib import Path

from raytransfer.config import StudyConfig
from raytransfer.metrics import METRICS
from raytransfer.results import Storage, configurations, downstream_units
from raytransfer.tracking import downstream_record

STUDY = StudyConfig()


def test_the_epochs_of_a_trial_have_the_metrics_of_its_gpu_and_nothing_of_tune(tmp_path: Path) -> None:
    encoders = {("unet-micro", "simple"): {0: "a" * 64}}
    unit = downstream_units(STUDY, [next(configurations(STUDY))], encoders)[0]
    measured = {"train/loss": 0.5, **{f"test/{name}": 0.1 for name in METRICS}}
    system = {"system/gpu_0_utilization_percentage": 90.0}
    reported = {"epoch": 1, **measured, **system, "done": False, "trial_id": "x", "time_total_s": 3.0}
    record = downstream_record(unit, Storage(tmp_path), [reported, {"epoch": 2, **measured}])
    assert record.epochs == {1: {**measured, **system}, 2: measured}
