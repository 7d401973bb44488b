"""Frozen encoder: only the decoder or head is trained."""

from raytransfer.evaluation.protocols.base import TrainedByRecipe

FROZEN = TrainedByRecipe(frozen=True)
