"""Distributed pretraining with Ray Train: the driver's side and the workers'."""
