"""Images in: source data to pretrain on, target data to segment, augmentation."""

from collections.abc import Callable

from raytransfer.config import SourceConfig, TargetConfig, unknown_name
from raytransfer.data.arrays import ClassificationData, SegmentationData
from raytransfer.data.mni152 import load_mni152
from raytransfer.data.photographs import load_photographs

SOURCES: dict[str, Callable[[SourceConfig], ClassificationData]] = {"photographs": load_photographs}
TARGETS: dict[str, Callable[[TargetConfig], SegmentationData]] = {"mni152": load_mni152}

__all__ = ["SOURCES", "TARGETS", "ClassificationData", "SegmentationData", "load_source", "load_target"]


def load_source(config: SourceConfig) -> ClassificationData:
    """Load the source dataset `config.name`.

    Raises:
        InputError: There is no such dataset, or a package it needs is missing.
    """
    if config.name not in SOURCES:
        raise unknown_name("source dataset", config.name, SOURCES)
    return SOURCES[config.name](config)


def load_target(config: TargetConfig) -> SegmentationData:
    """Load the target dataset `config.name`.

    Raises:
        InputError: There is no such dataset, or a package it needs is missing.
    """
    if config.name not in TARGETS:
        raise unknown_name("target dataset", config.name, TARGETS)
    return TARGETS[config.name](config)
