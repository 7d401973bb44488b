"""Segmentation metrics, and agreement between rankings."""

from raytransfer.metrics.ranking import pearson, spearman, transferability_indicator_score, weighted_kendall
from raytransfer.metrics.segmentation import SegmentationMetrics

__all__ = [
    "SegmentationMetrics",
    "pearson",
    "spearman",
    "transferability_indicator_score",
    "weighted_kendall",
]
