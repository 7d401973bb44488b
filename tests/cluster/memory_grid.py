"""A grid of three trials, one with a batch of all its images (a script of test_faults_trials.py).

python memory_grid.py STORAGE [retry]
"""

import os
import sys
from dataclasses import replace

import ray

from raytransfer.data.settings import TargetSettings
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.ray_compat import patch_ray
from raytransfer.ray_tune.failed_trials import unless_passing
from raytransfer.ray_tune.grid import train_grid
from raytransfer.results.storage import Storage
from raytransfer.results.units import configurations, evaluation_units
from raytransfer.runtime.environment import prepare_process
from raytransfer.study import Study
from raytransfer.tracking.tracker import Tracker

LEFT = 3.0e9
"""Bytes that Ray's memory monitor is told to let this grid take, beside what is taken already."""


def _memory_threshold() -> float:
    with open("/proc/meminfo") as file:
        lines = dict(line.split(":") for line in file)
    total, free = (1024 * float(lines[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    return 1 - (free - LEFT) / total


def main(root: str, *, retry: bool) -> None:
    storage = Storage(root, retry_failed=retry)
    study = Study(
        models=("unet-micro",),
        protocols=("fine_tuning",),
        seeds=(0,),
        target=TargetSettings(image_size=256, slice_step=4),
        downstream=DownstreamSettings(epochs=1, batch_size=2),
    )
    encoders = {("unet-micro", "simple"): storage.series("unet-micro", "simple").fingerprints()}
    study = replace(
        study, pretraining=replace(study.pretraining, series=tuple(encoders["unet-micro", "simple"]))
    )
    small, large, last = evaluation_units(study, configurations(study), encoders)
    large = replace(large, study=replace(study, downstream=DownstreamSettings(epochs=1, batch_size=1000)))
    with Tracker(f"sqlite:///{root}/mlflow.db", artifact_root=storage.root / "mlartifacts") as tracker:
        if not retry:
            os.environ["RAY_memory_usage_threshold"] = f"{_memory_threshold():.4f}"  # noqa: SIM112
        prepare_process()
        patch_ray(unless_passing)
        ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
        train_grid([small, large, last], storage, tracker)
        ray.shutdown()
    for failure in storage.failures.new:
        print(f"{failure.key} {failure.reason}")


if __name__ == "__main__":
    main(sys.argv[1], retry=sys.argv[2:] == ["retry"])
