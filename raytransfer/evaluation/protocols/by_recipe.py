"""What the protocols share that train by the recipe of downstream training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raytransfer.settings import to_dict

if TYPE_CHECKING:
    import torch

    from raytransfer.data.arrays import TargetData
    from raytransfer.evaluation.settings import DownstreamSettings
    from raytransfer.evaluation.training import DownstreamTraining
    from raytransfer.models.encoder import Encoder


@dataclass(frozen=True)
class TrainedByRecipe:
    """A protocol that trains by the recipe of downstream training, a step being an epoch.

    Args:
        frozen: Whether the encoder is frozen; see `DownstreamTraining`.
    """

    frozen: bool

    def check(self, task: str) -> None:
        """Accept every task."""

    def settings(self, recipe: DownstreamSettings) -> dict[str, Any]:
        """Return the recipe."""
        return {"downstream": to_dict(recipe)}

    def num_steps(self, recipe: DownstreamSettings) -> int:
        """Return the epochs of the recipe."""
        return recipe.epochs

    def start(
        self,
        model: str,
        encoder: Encoder,
        recipe: DownstreamSettings,
        data: TargetData,
        *,
        seed: int,
        device: str | torch.device,
    ) -> DownstreamTraining:
        """Begin a training."""
        from raytransfer.evaluation.training import DownstreamTraining

        return DownstreamTraining(model, encoder, recipe, data, frozen=self.frozen, seed=seed, device=device)

    def one_pass(
        self, model: str, encoder: Encoder, recipe: DownstreamSettings, data: TargetData, *, device: str
    ) -> Callable[[], object]:
        """Return the training of one epoch."""
        return self.start(model, encoder, recipe, data, seed=0, device=device).train_epoch
