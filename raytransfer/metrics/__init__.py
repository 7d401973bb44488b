"""Segmentation metrics, and agreement between rankings."""

from raytransfer.metrics.ranking import pearson, spearman, transferability_indicator_score, weighted_kendall
from raytransfer.metrics.segmentation import METRICS, SegmentationMetrics

__all__ = [
    "METRICS",
    "SegmentationMetrics",
    "pearson",
    "spearman",
    "transferability_indicator_score",
    "weighted_kendall",
]
