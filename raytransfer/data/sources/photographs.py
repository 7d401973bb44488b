"""Source data with nothing to download: crops of photographs inside scikit-image's and scikit-learn's wheels.

The class of a crop is the photograph it comes from. It stands in for ImageNet where there is none: the task
(tell textures and objects apart in natural images) is of the same kind, the size is not.
"""

import io
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raytransfer.data.settings import SourceSettings
from raytransfer.data.sources.images import ArrayImages, ClassificationData

PHOTOGRAPHS = {
    "skimage.data": (
        "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png",
        "coffee.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png",
        "moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
    ),
    "sklearn.datasets": ("images/china.jpg", "images/flower.jpg"),
}  # fmt: skip

SCALES = (0.35, 0.5, 0.7, 1.0)
"""Side of a crop as a fraction of the shorter side of its region."""

VALIDATION_SHARE = 0.3
"""Share of the longer side of a photograph that only validation crops come from."""


def _read(package: str, file: str) -> NDArray[np.uint8]:
    content = resources.files(package).joinpath(file).read_bytes()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def regions(height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the (training, validation) regions of a photograph: a cut across its longer side."""
    if width >= height:
        cut = round(width * (1 - VALIDATION_SHARE))
        return (slice(None), slice(0, cut)), (slice(None), slice(cut, width))
    cut = round(height * (1 - VALIDATION_SHARE))
    return (slice(0, cut), slice(None)), (slice(cut, height), slice(None))


def _crops(
    region: NDArray[np.uint8], count: int, size: int, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    height, width = region.shape[:2]
    crops = []
    for index in range(count):
        side = max(int(min(height, width) * SCALES[index % len(SCALES)]), 16)
        top = int(rng.integers(0, height - side + 1))
        left = int(rng.integers(0, width - side + 1))
        crop = region[top : top + side, left : left + side]
        interpolation = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        crops.append(cv2.resize(crop, (size, size), interpolation=interpolation).astype(np.uint8))
    return crops


def load_photographs(config: SourceSettings) -> ClassificationData:
    """Cut the crops, the same for the same `config` on every machine.

    Returns:
        20 classes with `train_per_class` and `val_per_class` crops each, at the scales `SCALES` in turn,
        grey photographs as three equal channels. Training and validation crops share no pixel.
    """
    files = [(package, file) for package, names in PHOTOGRAPHS.items() for file in names]
    splits: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]] = ([], [])
    counts = (config.train_per_class, config.val_per_class)
    for label, (package, file) in enumerate(files):
        image = _read(package, file)
        for split, region in enumerate(regions(*image.shape[:2])):
            rng = np.random.default_rng([config.seed, label, split])
            splits[split].extend(_crops(image[region], counts[split], config.image_size, rng))
    classes = np.arange(len(files), dtype=np.int64)
    return ClassificationData(
        name="photographs",
        class_names=tuple(file.split("/")[-1].split(".")[0] for _, file in files),
        train=ArrayImages(images=np.stack(splits[0]), labels=np.repeat(classes, counts[0])),
        val=ArrayImages(images=np.stack(splits[1]), labels=np.repeat(classes, counts[1])),
        image_size=config.image_size,
    )
