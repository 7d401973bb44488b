"""Images in: source data to pretrain on, target data to segment, augmentation."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from raytransfer.config import InputError, SourceConfig, TargetConfig, unknown_name
from raytransfer.data.arrays import ClassificationData, Images, SegmentationData, Split
from raytransfer.data.mni152 import load_mni152
from raytransfer.data.photographs import load_photographs

__all__ = [
    "ClassificationData",
    "Images",
    "SegmentationData",
    "Split",
    "check_data",
    "load_source",
    "load_target",
    "source_problem",
    "target_identity",
    "target_problem",
]

Loader = TypeVar("Loader")


@dataclass(frozen=True, kw_only=True)
class _Dataset(Generic[Loader]):
    """A dataset: how it is loaded, and the packages of the extra `demo` that hold it."""

    load: Loader
    packages: tuple[str, ...]


SOURCES = {
    "photographs": _Dataset[Callable[[SourceConfig], ClassificationData]](
        load=load_photographs, packages=("skimage", "sklearn")
    )
}
TARGETS = {
    "mni152": _Dataset[Callable[[TargetConfig], SegmentationData]](load=load_mni152, packages=("nilearn",))
}


def _check(kind: str, name: str, known: Mapping[str, _Dataset[Any]]) -> None:
    if name not in known:
        raise unknown_name(f"{kind} dataset", name, known)
    missing = [package for package in known[name].packages if find_spec(package) is None]
    if missing:
        raise InputError(
            f"{kind} dataset {name!r} needs {', '.join(missing)}: pip install 'raytransfer[demo]'"
        )


def check_data(source: SourceConfig, datasets: Iterable[str]) -> None:
    """Check that there are such source and target datasets, and the packages they need.

    Raises:
        InputError: There is no such dataset, or a package it needs is missing.
    """
    _check("source", source.name, SOURCES)
    for name in datasets:
        _check("target", name, TARGETS)


def source_problem(config: SourceConfig) -> str | None:
    """Return what keeps a source dataset from being loaded on this machine; None where nothing does."""
    return None


def target_problem(name: str, config: TargetConfig) -> str | None:
    """Return what keeps a target dataset from being loaded on this machine; None where nothing does."""
    return None


def load_source(config: SourceConfig) -> ClassificationData:
    """Load the source dataset `config.name`; raises as `check_data`."""
    _check("source", config.name, SOURCES)
    return SOURCES[config.name].load(config)


def load_target(name: str, config: TargetConfig) -> SegmentationData:
    """Load a target dataset; raises as `check_data`."""
    _check("target", name, TARGETS)
    return TARGETS[name].load(config)


def target_identity(name: str, config: TargetConfig) -> dict[str, Any]:
    """Return what tells a target dataset's content from any other's, as plain JSON values."""
    _check("target", name, TARGETS)
    return {"image_size": config.image_size, "slice_step": config.slice_step}
