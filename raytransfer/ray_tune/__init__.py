"""Scoring and the downstream grid on a Ray cluster."""

from raytransfer.ray_tune.grid import FailedTrial, train_grid
from raytransfer.ray_tune.scoring import score

__all__ = ["FailedTrial", "score", "train_grid"]
