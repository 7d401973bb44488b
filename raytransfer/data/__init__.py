"""Images in: source data to pretrain on, target data to segment, augmentation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from raytransfer.config import InputError, SourceConfig, TargetConfig, unknown_name
from raytransfer.data.arrays import SegmentationData
from raytransfer.data.classification import ClassificationData, ImageSource
from raytransfer.data.imagenet import imagenet_classes, load_imagenet
from raytransfer.data.mni152 import load_mni152
from raytransfer.data.photographs import load_photographs

__all__ = [
    "ClassificationData",
    "ImageSource",
    "SegmentationData",
    "check_data",
    "load_source",
    "load_target",
]

Loader = TypeVar("Loader")


@dataclass(frozen=True, kw_only=True)
class _Dataset(Generic[Loader]):
    """A dataset: how it is loaded, the packages of the extra `demo` that hold it, what else must be there."""

    load: Loader
    packages: tuple[str, ...] = ()
    check: Callable[[Any], object] = lambda config: None


SOURCES = {
    "imagenet": _Dataset[Callable[[SourceConfig], ClassificationData]](
        load=load_imagenet, check=imagenet_classes
    ),
    "photographs": _Dataset[Callable[[SourceConfig], ClassificationData]](
        load=load_photographs, packages=("skimage", "sklearn")
    ),
}
TARGETS = {
    "mni152": _Dataset[Callable[[TargetConfig], SegmentationData]](load=load_mni152, packages=("nilearn",))
}


def _check(kind: str, config: SourceConfig | TargetConfig, known: Mapping[str, _Dataset[Any]]) -> None:
    name = config.name
    if name not in known:
        raise unknown_name(f"{kind} dataset", name, known)
    missing = [package for package in known[name].packages if find_spec(package) is None]
    if missing:
        raise InputError(
            f"{kind} dataset {name!r} needs {', '.join(missing)}: pip install 'raytransfer[demo]'"
        )
    known[name].check(config)


def check_data(source: SourceConfig, target: TargetConfig) -> None:
    """Check that both datasets can be loaded, without loading them.

    Raises:
        InputError: There is no such dataset, or a package or folder it needs is missing.
    """
    _check("source", source, SOURCES)
    _check("target", target, TARGETS)


def load_source(config: SourceConfig) -> ClassificationData:
    """Load the source dataset `config.name`; raises as `check_data`."""
    _check("source", config, SOURCES)
    return SOURCES[config.name].load(config)


def load_target(config: TargetConfig) -> SegmentationData:
    """Load the target dataset `config.name`; raises as `check_data`."""
    _check("target", config, TARGETS)
    return TARGETS[config.name].load(config)
