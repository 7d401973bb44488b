"""Fine-tuning: the encoder's weights are trained along with the decoder or head."""

from raytransfer.evaluation.protocols.by_recipe import TrainedByRecipe

FINE_TUNING = TrainedByRecipe(frozen=False)
