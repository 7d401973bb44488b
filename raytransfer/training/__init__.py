"""The loops: pretraining and downstream; losses, schedules, seeding. One process, pure torch."""

from raytransfer.training.downstream import DownstreamTraining
from raytransfer.training.pretraining import EncoderClassifier, Pretraining

__all__ = ["DownstreamTraining", "EncoderClassifier", "Pretraining"]
