"""The studies that commands know by name.

Examples:
    >>> PRESETS["smoke"]().models
    ('unet-micro', 'resnet-unet-micro')
"""

from collections.abc import Callable

from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.study import ResourcesSettings, Study


def demo() -> Study:
    """Embedded data at 64 px, three micro encoders and their U-Nets: minutes on two CPU cores."""
    return Study()


def smoke() -> Study:
    """The whole chain in seconds, for the tests; its numbers mean nothing."""
    return Study(
        models=("unet-micro", "resnet-unet-micro"),
        seeds=(0,),
        source=SourceSettings(train_per_class=16, val_per_class=2),
        target=TargetSettings(slice_step=10),
        pretraining=PretrainingSettings(epochs=8, series=(0, 2, 8), batch_size=32, warmup_epochs=1),
        downstream=DownstreamSettings(epochs=2),
    )


def thesis() -> Study:
    """The thesis's study as it was run: 342 configurations, five seeds, a GPU per trial."""
    return Study(
        models=("unet", "resnet50-attention-unet", "swin-unet"),
        datasets=("acdc", "covid-qu-ex", "idrid"),
        schemes=("simple", "advanced"),
        seeds=(123124, 123125, 123126, 123127, 123128),
        source=SourceSettings(name="imagenet", root="data/imagenet", image_size=224),
        reference_recipes=True,
        downstream=DownstreamSettings(epochs=150, batch_size=24),
        resources=ResourcesSettings(
            cpus_per_worker=8, gpu_pretraining=True, cpus_per_trial=4, gpus_per_trial=1
        ),
    )


PRESETS: dict[str, Callable[[], Study]] = {"demo": demo, "smoke": smoke, "thesis": thesis}
"""Name -> what builds the study."""
