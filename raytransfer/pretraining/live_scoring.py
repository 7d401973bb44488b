"""Robustness of an encoder in training: every data-parallel process scores its share of the images."""

from dataclasses import replace

import numpy as np
import torch

from raytransfer.data.arrays import Images
from raytransfer.models.encoder import Encoder
from raytransfer.pretraining.processes import share_buffers, summed_over_processes
from raytransfer.transferability.hinge_sums import HingeSums, RobustnessScore
from raytransfer.transferability.robustness import hinge_sums
from raytransfer.transferability.settings import RobustnessSettings


def share_of_sums(
    encoder: Encoder,
    images: Images,
    config: RobustnessSettings,
    *,
    precision: str,
    device: str | torch.device,
    shard: int,
    num_shards: int,
) -> HingeSums:
    """Return one process's or task's part of the scores that a study asks for; the parts add up.

    Args:
        encoder: Put into evaluation mode and on `device`.
        images: All target images, not only this part's.
        config: Margins, seed and batch size.
        precision: What the encoder computes in, as in `score_encoder`.
        device: Where.
        shard: Which part, from 0.
        num_shards: Number of parts.
    """
    return hinge_sums(
        encoder, images, margins=config.margins, seed=config.seed, batch_size=config.batch_size,
        device=device, precision=precision, shard=shard, num_shards=num_shards,
    )  # fmt: skip


def score_in_training(
    encoder: Encoder,
    images: Images,
    config: RobustnessSettings,
    *,
    precision: str = "float32",
    device: str | torch.device = "cpu",
    rank: int = 0,
    num_processes: int = 1,
) -> list[RobustnessScore]:
    """Return what `score_encoder` gives for the first process's encoder, in all processes.

    The number of processes changes the scores by less than 1e-6. The encoder is left in evaluation mode.

    Args:
        encoder: This process's; all have the same weights, and get the first one's buffers.
        images: All target images, not only this process's share.
        config: Margins, seed and batch size.
        precision: What the encoder computes in, as in `score_encoder`.
        device: Where.
        rank: This process, from 0.
        num_processes: How many call this together.
    """
    share_buffers(encoder)
    part = share_of_sums(
        encoder, images, config, precision=precision, device=device, shard=rank, num_shards=num_processes
    )
    return _summed(part).scores()


def _summed(part: HingeSums) -> HingeSums:
    flat = np.concatenate([part.totals.ravel(), part.squares.ravel(), [part.count]])
    *sums, count = summed_over_processes(torch.from_numpy(flat)).tolist()
    totals, squares = np.reshape(sums, (2, *part.totals.shape))
    return replace(part, totals=totals, squares=squares, count=round(count))
