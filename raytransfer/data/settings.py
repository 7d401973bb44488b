"""Settings of the data: what encoders are pretrained on, and what they are transferred to."""

from dataclasses import dataclass

from raytransfer.settings import (
    MOST_IMAGES,
    MOST_SEED,
    require,
    require_from,
    require_image_size,
    setting,
)

SCHEMES = ("simple", "advanced")
"""Names of the ways to change source images at random, the pretraining schemes."""


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """The source data: what encoders are pretrained on."""

    name: str = setting("photographs", "source dataset")
    root: str = setting(
        "", "imagenet: folder that holds train/<class>/* and val/<class>/*", changes_results=False
    )
    image_size: int = setting(64, "side of the square images, pixels")
    train_per_class: int = setting(48, "photographs: training images drawn per class")
    val_per_class: int = setting(16, "photographs: validation images drawn per class")
    seed: int = setting(0, "photographs: seed of the draw of the crops")
    fingerprint: str = ""
    """Identifies the files of a source that is not embedded; the driver fills it in (`resolve_data`)."""

    def __post_init__(self) -> None:
        require_image_size("source.image_size", self.image_size)
        require_from(1, "source.train_per_class", self.train_per_class, MOST_IMAGES)
        require_from(1, "source.val_per_class", self.val_per_class, MOST_IMAGES)
        require_from(0, "source.seed", self.seed, MOST_SEED)


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """The target data: what is segmented, and what checkpoints are scored on.

    Prepared datasets have the size they were prepared with.
    """

    data_root: str = setting("data", "folder of the prepared datasets", changes_results=False)
    image_size: int = setting(64, "side of the square images of mni152, pixels")
    slice_step: int = setting(2, "every how many millimetres a slice of mni152 is taken")
    fingerprints: tuple[tuple[str, str], ...] = ()
    """(dataset, fingerprint) of the prepared datasets; the driver fills it in (`resolve_data`)."""

    def __post_init__(self) -> None:
        require_image_size("target.image_size", self.image_size)
        require(1 <= self.slice_step <= 10, "target.slice_step", self.slice_step, "between 1 and 10")
