"""Transferability indicators: tensors in, numbers out; higher is better."""

from raytransfer.transferability.distances import DISTANCES
from raytransfer.transferability.hinge_sums import HingeSums, RobustnessScore
from raytransfer.transferability.jitter import ColorJitter
from raytransfer.transferability.robustness import PRECISIONS, hinge_sums, robustness, score_encoder

__all__ = [
    "DISTANCES",
    "PRECISIONS",
    "ColorJitter",
    "HingeSums",
    "RobustnessScore",
    "hinge_sums",
    "robustness",
    "score_encoder",
]
