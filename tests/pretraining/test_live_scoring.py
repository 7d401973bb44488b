"""Scores in training: what two processes that share the images find together."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.live_scoring import score_in_training
from raytransfer.transferability.indicators.base import Score
from raytransfer.transferability.indicators.robustness import Robustness
from raytransfer.transferability.scorer import score_encoder

INDICATORS = [Robustness(levels=(-1, -2)), Robustness(levels=(-5,))]


def _images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (13, 32, 32, 1)).astype(np.float32)


def _process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/init", rank=rank, world_size=2)
    torch.manual_seed(0)
    found = score_in_training(
        create_encoder("unet-micro"), _images(), INDICATORS, seed=1, batch_size=4, rank=rank, num_processes=2
    )
    torch.save([[(str(spec), vars(of)) for spec, of in table.items()] for table in found], f"{folder}/{rank}")
    torch.distributed.destroy_process_group()


def test_all_processes_have_the_scores_of_all_images(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_process, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / str(rank), weights_only=True) for rank in (0, 1))
    assert first == second
    torch.manual_seed(0)
    alone = score_encoder(create_encoder("unet-micro"), _images(), INDICATORS, seed=1)
    together = {spec: Score(**score) for table in first for spec, score in table}
    assert list(together) == [str(spec) for spec in alone]
    for spec, score in alone.items():
        assert vars(together[str(spec)]) == pytest.approx(vars(score), abs=1e-6)
