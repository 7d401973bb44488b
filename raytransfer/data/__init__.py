"""Images in: source data to pretrain on, target data to segment, augmentation."""

from raytransfer.data.arrays import Images, SegmentationData, Split
from raytransfer.data.classification import ClassificationData, ImageSource
from raytransfer.data.registry import (
    TARGETS,
    check_data,
    load_source,
    load_target,
    resolve_data,
    source_problem,
    source_size,
    target_identity,
    target_problem,
    training_size,
    unseen_data,
)

__all__ = [
    "TARGETS",
    "ClassificationData",
    "ImageSource",
    "Images",
    "SegmentationData",
    "Split",
    "check_data",
    "load_source",
    "load_target",
    "resolve_data",
    "source_problem",
    "source_size",
    "target_identity",
    "target_problem",
    "training_size",
    "unseen_data",
]
