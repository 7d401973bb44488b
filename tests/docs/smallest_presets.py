"""What stands in for the presets where the pages' commands are tested: the same names, all tiny.

Their data are the reader's own, an ImageNet tree and a prepared folder of images and masks, which are named
relative to where he works: so every command is tried on them.
"""

from collections.abc import Callable
from dataclasses import replace

from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.study import ResourcesSettings, Study


def demo() -> Study:
    """One encoder, two epochs, one protocol, one seed, and a process at a time."""
    return Study(
        models=("unet-micro",),
        datasets=("scans",),
        protocols=("frozen",),
        seeds=(0,),
        source=SourceSettings(name="imagenet", root="data/imagenet"),
        target=TargetSettings(slice_step=10),
        pretraining=PretrainingSettings(
            epochs=2, series=(0, 2), batch_size=12, warmup_epochs=1, num_workers=1
        ),
        downstream=DownstreamSettings(epochs=1),
        resources=ResourcesSettings(cpus_per_trial=2),
    )


def thesis() -> Study:
    """The same with the thesis's data sets, most of which nobody has."""
    return replace(demo(), datasets=("acdc", "covid-qu-ex", "idrid"))


SMALLEST: dict[str, Callable[[], Study]] = {"demo": demo, "smoke": demo, "thesis": thesis}
