"""Scores of an encoder in training: every data-parallel process scores its share of the images."""

from collections.abc import Sequence

import torch

from raytransfer.data.arrays import Images
from raytransfer.models.encoder import Encoder
from raytransfer.pretraining.processes import gathered_from_processes, share_buffers
from raytransfer.transferability.indicators.base import Indicator, Score, ScoreSpec
from raytransfer.transferability.scorer import merged, score_shard


def score_in_training(
    encoder: Encoder,
    images: Images,
    indicators: Sequence[Indicator],
    *,
    seed: int,
    batch_size: int,
    precision: str = "float32",
    device: str | torch.device = "cpu",
    rank: int = 0,
    num_processes: int = 1,
) -> list[dict[ScoreSpec, Score]]:
    """Return what `score_encoder` gives for the first process's encoder, in all processes, by indicator.

    The number of processes changes the scores by less than 1e-6. The encoder is left in evaluation mode.

    Args:
        encoder: This process's; all have the same weights, and get the first one's buffers.
        images: All target images, not only this process's share.
        indicators: What is computed; none that needs labels.
        seed: As in `score_encoder`.
        batch_size: Images per forward pass.
        precision: What the encoder computes in, as in `score_encoder`.
        device: Where.
        rank: This process, from 0.
        num_processes: How many call this together.
    """
    share_buffers(encoder)
    part = score_shard(
        encoder, images, indicators, seed=seed, batch_size=batch_size, device=device, precision=precision,
        shard=rank, num_shards=num_processes,
    )  # fmt: skip
    return merged(gathered_from_processes(part)).scores()
