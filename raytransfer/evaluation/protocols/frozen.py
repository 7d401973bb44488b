"""Frozen encoder: only the decoder or head is trained."""

from raytransfer.evaluation.protocols.by_recipe import TrainedByRecipe

FROZEN = TrainedByRecipe(frozen=True)
