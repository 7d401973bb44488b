"""Distributed pretraining with Ray Train."""

from raytransfer.ray_train.pretraining import pretrain, series_problem

__all__ = ["pretrain", "series_problem"]
