"""Pretraining schemes: named recipes of a method and an augmentation. Known without importing torch."""

from dataclasses import dataclass

from raytransfer.errors import InputError, unknown_name
from raytransfer.pretraining.methods.base import Method
from raytransfer.pretraining.methods.registry import METHODS
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.registry import require_packages


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A named way to pretrain.

    Attributes:
        method: Name of the method, one of `METHODS`.
        augmentation: Name of the augmentation, one of `raytransfer.data.sources.augmentation.AUGMENTATIONS`.
        images_per_mix: Images that the augmentation mixes with each other; a worker's share of a batch is a
            multiple of it.
    """

    method: str
    augmentation: str
    images_per_mix: int = 1

    @property
    def strategy(self) -> type[Method]:
        """The method."""
        return METHODS[self.method]


SCHEMES: dict[str, Scheme] = {
    "simple": Scheme(method="supervised", augmentation="simple"),
    "advanced": Scheme(method="supervised", augmentation="advanced", images_per_mix=2),
    "simsiam": Scheme(method="simsiam", augmentation="contrastive"),
}


def scheme_named(name: str) -> Scheme:
    """Return a scheme.

    Raises:
        InputError: There is none of that name.
    """
    if name not in SCHEMES:
        raise unknown_name("pretraining scheme", name, SCHEMES)
    return SCHEMES[name]


def check_batches(name: str, recipe: PretrainingSettings) -> None:
    """Check that a scheme can train on the batches of a recipe.

    Args:
        name: The scheme.
        recipe: The recipe.

    Raises:
        InputError: There is no such scheme, or a worker's share of a batch, or a chunk of it, has too few
            images or cannot be mixed, or the scheme's loss does not allow chunks.
    """
    scheme = scheme_named(name)
    method, share = scheme.strategy, recipe.batch_size // recipe.num_workers
    given = f"pretraining.batch_size={recipe.batch_size} gives each of {recipe.num_workers} workers {share} "
    if share % scheme.images_per_mix:
        raise InputError(
            f"{given}images, but scheme {name!r} mixes them by {scheme.images_per_mix}: give it a multiple "
            f"of {recipe.num_workers * scheme.images_per_mix}"
        )
    chunk = min(recipe.chunk_size or share, share)
    if chunk < share and method.whole_batch:
        raise InputError(
            f"pretraining.chunk_size={recipe.chunk_size} cuts the {share} images of a worker, which the loss "
            f"of scheme {name!r} compares with each other: set it to 0"
        )
    least = min(chunk, share % chunk or chunk)
    if least < method.least_images:
        raise InputError(
            f"{given}images, with pretraining.chunk_size={recipe.chunk_size} {least} in the last forward "
            f"pass: scheme {name!r} needs {method.least_images}"
        )


def check_packages(name: str) -> None:
    """Check that what a scheme needs is installed, without importing it.

    Raises:
        InputError: There is no such scheme, or it needs a package that is not installed.
    """
    require_packages(f"scheme {name!r}", scheme_named(name).strategy.packages, extra="selfsupervised")
