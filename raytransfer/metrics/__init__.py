"""Segmentation metrics, and agreement between rankings."""

from raytransfer.metrics.ranking import pearson, spearman, transferability_indicator_score, weighted_kendall
from raytransfer.metrics.segmentation import METRICS, SegmentationMetrics, dice_per_image

__all__ = [
    "METRICS",
    "SegmentationMetrics",
    "dice_per_image",
    "pearson",
    "spearman",
    "transferability_indicator_score",
    "weighted_kendall",
]
