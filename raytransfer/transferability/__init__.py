"""Transferability indicators: tensors in, numbers out; higher is better."""

from raytransfer.transferability.jitter import ColorJitter
from raytransfer.transferability.robustness import DISTANCES, RobustnessScore, robustness, score_encoder

__all__ = ["DISTANCES", "ColorJitter", "RobustnessScore", "robustness", "score_encoder"]
