"""Settings of the data: what encoders are pretrained on, and what they are transferred to."""

from raytransfer.settings import MOST_IMAGES, ImageSize, Seed, setting, settings

SCHEMES = ("simple", "advanced")
"""Names of the ways to change source images at random, the pretraining schemes."""


@settings("source")
class SourceSettings:
    """The source data: what encoders are pretrained on."""

    name: str = setting("photographs", "source dataset")
    root: str = setting(
        "", "imagenet: folder that holds train/<class>/* and val/<class>/*", changes_results=False
    )
    image_size: ImageSize = setting(64, "side of the square images, pixels")
    train_per_class: int = setting(48, "photographs: training images drawn per class", ge=1, le=MOST_IMAGES)
    val_per_class: int = setting(16, "photographs: validation images drawn per class", ge=1, le=MOST_IMAGES)
    seed: Seed = setting(0, "photographs: seed of the draw of the crops")
    fingerprint: str = ""
    """Identifies the files of a source that is not embedded; the driver fills it in (`resolve_data`)."""


@settings("target")
class TargetSettings:
    """The target data: what is segmented, and what checkpoints are scored on.

    Prepared datasets have the size they were prepared with.
    """

    data_root: str = setting(
        "data", "folder of the datasets that experiments/prepare.py wrote", changes_results=False
    )
    image_size: ImageSize = setting(64, "side of the square images of mni152, pixels")
    slice_step: int = setting(
        2, "every how many millimetres a slice of mni152 is taken", ge=1, le=10, rule="between 1 and 10"
    )
    fingerprints: tuple[tuple[str, str], ...] = ()
    """(dataset, fingerprint) of the prepared datasets; the driver fills it in (`resolve_data`)."""
