"""What would fail only once work has begun, found out before it does."""

import os
from pathlib import Path

from raytransfer.data.registry import source_problem
from raytransfer.data.settings import SourceSettings
from raytransfer.errors import InputError
from raytransfer.models.names import encoder_named_by, num_levels
from raytransfer.pretraining.schemes import check_batches, check_packages
from raytransfer.results.live import METRIC
from raytransfer.results.units import PretrainingUnit
from raytransfer.statistics.signals import Signal
from raytransfer.study import Study


def check_recipe(unit: PretrainingUnit) -> None:
    """Check what a pretraining's batches need; nothing where its source data are not on this machine.

    Raises:
        InputError: A batch has more images than there are, or the scheme cannot train on its parts, or needs
            a package that is not installed.
    """
    recipe, source = unit.recipe, unit.study.source
    if source_problem(source) is not None:
        return
    check_batches(unit.scheme, recipe)
    check_packages(unit.scheme)
    images = training_images(source, enough=recipe.batch_size)
    if images is not None and images < recipe.batch_size:
        remedy = (
            "reference_recipes=true sets it: use more images, or recipes of your own"
            if unit.study.reference_recipes
            else "make it smaller with --set, or use more images"
        )
        raise InputError(
            f"pretraining.batch_size={recipe.batch_size} of {unit.name} is more than the {images} training "
            f"images of {source.name}: {remedy}"
        )


def training_images(source: SourceSettings, *, enough: int) -> int | None:
    """Return how many training images there are, counted no further than to what is enough.

    Of a tree of images only so many names are read, none of a source that is neither a tree nor embedded.
    """
    if source.name == "photographs":
        from raytransfer.data.sources.photographs import PHOTOGRAPHS  # with what decodes them

        return source.train_per_class * sum(map(len, PHOTOGRAPHS.values()))
    if source.name != "imagenet":
        return None
    from torchvision.datasets.folder import IMG_EXTENSIONS  # with torch

    count = 0
    for class_folder in os.scandir(Path(source.root).expanduser() / "train"):
        for _, _, files in os.walk(class_folder, followlinks=True):
            count += sum(name.lower().endswith(IMG_EXTENSIONS) for name in files)
            if count >= enough:
                return count
    return count


def check_signal(signal: Signal, study: Study) -> None:
    """Check that the scores that a rule follows are computed.

    Raises:
        InputError: Nobody computes them.
    """
    if signal.indicator != METRIC:
        raise InputError(
            f"nothing is scored by {signal} while encoders are trained: rules follow the {METRIC} there"
        )
    if signal["margin"] not in study.robustness.margins:
        raise InputError(
            f"nothing is scored by {signal}: the margin must be one of "
            f"robustness.margins={list(study.robustness.margins)}"
        )
    for encoder in dict.fromkeys(map(encoder_named_by, study.models)):
        levels = num_levels(encoder)
        if not 1 <= abs(signal["level"]) <= levels:
            raise InputError(f"{encoder} is not scored by {signal}: it has levels 1 to {levels}")
