"""Scoring and the downstream grid on a Ray cluster: the driver's side and the trials'."""
