"""What an evaluation protocol is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # importing them takes seconds, which commands that evaluate nothing are spared
    import torch

    from raytransfer.data.arrays import TargetData
    from raytransfer.evaluation.settings import DownstreamSettings
    from raytransfer.models.encoder import Encoder
    from raytransfer.models.target_model import TargetModel


class Evaluation(Protocol):
    """An evaluation under way.

    Attributes:
        model: The model as it is now, on the device: what is kept of the evaluation when it is over.
        device: Where it computes.
    """

    @property
    def model(self) -> TargetModel:
        """See above."""

    @property
    def device(self) -> str | torch.device:
        """See above."""

    def step(self) -> Mapping[str, float]:
        """Do one step and return its metrics.

        Returns:
            "train/loss", "test/<name>" for every metric of the task, and what the protocol adds.

        Raises:
            FloatingPointError: A loss is NaN or infinite.
        """


class EvaluationProtocol(Protocol):
    """A way of evaluating an encoder on a target task, in one step or several.

    Each step reports metrics; those of the last one count. An evaluation of many steps is trained epoch by
    epoch, one of a single step is computed in one go: both run as trials of the same grid.
    """

    def check(self, task: str) -> None:
        """Raise InputError where this protocol does not evaluate that task."""

    def settings(self, recipe: DownstreamSettings) -> dict[str, Any]:
        """Return all settings that the result depends on, by section, as plain JSON values.

        Args:
            recipe: The study's recipe of downstream training: the section "downstream" where it counts.
        """

    def num_steps(self, recipe: DownstreamSettings) -> int:
        """Return how many steps an evaluation has."""

    def start(
        self,
        model: str,
        encoder: Encoder,
        recipe: DownstreamSettings,
        data: TargetData,
        *,
        seed: int,
        device: str | torch.device,
    ) -> Evaluation:
        """Begin an evaluation.

        Args:
            model: Name of the model, as the data's task knows it.
            encoder: The pretrained encoder; it becomes part of the model and may be changed.
            recipe: The recipe of downstream training.
            data: The target data.
            seed: Decides all random numbers; the same for every checkpoint.
            device: Where to compute.

        Raises:
            InputError: There is no such model, or the encoder is not its encoder.
        """

    def one_pass(
        self, model: str, encoder: Encoder, recipe: DownstreamSettings, data: TargetData, *, device: str
    ) -> Callable[[], object]:
        """Return what does once to every training image what a step does; what takes time is measured by it.

        Arguments as of `start`.
        """
