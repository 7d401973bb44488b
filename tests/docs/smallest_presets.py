"""What stands in for `experiments/presets.py` where the pages' commands are tested: the same names, all tiny.

Their data are the reader's own, an ImageNet tree and a prepared folder of images and masks, which are named
relative to where he works: so every command is tried on them.
"""

from collections.abc import Callable
from dataclasses import replace

from raytransfer.config import (
    DownstreamConfig,
    PretrainingConfig,
    ResourcesConfig,
    SourceConfig,
    StudyConfig,
    TargetConfig,
)


def demo() -> StudyConfig:
    """One encoder, two epochs, one mode, one seed, and a process at a time."""
    return StudyConfig(
        models=("unet-micro",),
        datasets=("scans",),
        modes=("decoder-only",),
        seeds=(0,),
        source=SourceConfig(name="imagenet", root="data/imagenet"),
        target=TargetConfig(slice_step=10),
        pretraining=PretrainingConfig(epochs=2, series=(0, 2), batch_size=12, warmup_epochs=1, num_workers=1),
        downstream=DownstreamConfig(epochs=1),
        resources=ResourcesConfig(cpus_per_trial=2),
    )


def thesis() -> StudyConfig:
    """The same with the thesis's data sets, most of which nobody has."""
    return replace(demo(), datasets=("acdc", "covid-qu-ex", "idrid"))


PRESETS: dict[str, Callable[[], StudyConfig]] = {"demo": demo, "smoke": demo, "thesis": thesis}
