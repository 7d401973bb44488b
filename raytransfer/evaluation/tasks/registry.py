"""Kinds of target tasks by name."""

from raytransfer.evaluation.tasks.base import Task
from raytransfer.registry import Registry

TASKS: Registry[Task] = Registry(
    "task",
    segmentation="raytransfer.evaluation.tasks.segmentation:SEGMENTATION",
    classification="raytransfer.evaluation.tasks.classification:CLASSIFICATION",
)
