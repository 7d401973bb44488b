"""The studies that the experiments run by name."""

from collections.abc import Callable

from raytransfer.config import DownstreamConfig, PretrainingConfig, SourceConfig, StudyConfig, TargetConfig


def demo() -> StudyConfig:
    """Embedded data at 64 px, three micro encoders and their U-Nets: minutes on two CPU cores."""
    return StudyConfig()


def smoke() -> StudyConfig:
    """The whole chain in seconds, for the tests; its numbers mean nothing."""
    return StudyConfig(
        models=("unet-micro", "resnet-unet-micro"),
        seeds=(0,),
        source=SourceConfig(train_per_class=8, val_per_class=2),
        target=TargetConfig(slice_step=10),
        pretraining=PretrainingConfig(epochs=2, series=(0, 1, 2), batch_size=32, warmup_epochs=1),
        downstream=DownstreamConfig(epochs=2),
    )


PRESETS: dict[str, Callable[[], StudyConfig]] = {"demo": demo, "smoke": smoke}
