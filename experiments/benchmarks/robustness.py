"""How much every parameter choice costs more than one, and more than the encoder alone.

Question: is there a reason to choose parameters of the robustness before scoring?
Command:  python experiments/benchmarks/robustness.py --json robustness.json
Cost:     fifteen minutes on two CPU cores, a third of it for the memory at n = 512, which is measured once.
Result:   per encoder of the thesis, at 224 px in float32 on the CPU, median and range over repetitions:
          all_choices_over_forward: all choices (150; 120 for Swin) over 64 images / two bare forward passes
          over the same images, both in batches of 8, each run over all images once before;
          speedup_over_separate: one pass for each choice, reckoned from the time of one choice, drawn anew
          each repetition, times their number / the pass for all;
          memory_growth_mb: how much higher the peak memory of a process gets when it scores 512 images after
          it has scored 64; images are made when they are asked for, so the dataset itself does not count.
          All of it runs as in a scoring task: in a process for each encoder, where freed memory stays.
"""

import multiprocessing
import random
import resource
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from measurement import Measured, benchmark
from numpy.typing import NDArray

from raytransfer.models.registry import create_encoder
from raytransfer.transferability.freed_memory import kept_freed_memory
from raytransfer.transferability.indicators.base import Score, ScoreSpec
from raytransfer.transferability.indicators.robustness import Robustness
from raytransfer.transferability.scorer import score_encoder

ENCODERS = ("unet", "resnet50", "swin")
IMAGE_SIZE, BATCH_SIZE = 224, 8
ALL_CHOICES = Robustness()
FEW, MANY = 64, 512


class GeneratedImages:
    """Smooth colour noise, the same for the same index, made when it is asked for."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        coarse = np.random.default_rng(index).random((14, 14, 3), dtype=np.float32)
        return np.kron(coarse, np.ones((IMAGE_SIZE // 14, IMAGE_SIZE // 14, 1), np.float32))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _speed(name: str) -> list[tuple[str, float]]:
    encoder = create_encoder(name).eval()
    images = np.stack([GeneratedImages(FEW)[index] for index in range(FEW)])
    batches = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().split(BATCH_SIZE)

    @torch.inference_mode()
    def two_forward_passes() -> None:
        for _ in range(2):
            for batch in batches:
                encoder.forward_levels(batch)

    def score(indicator: Robustness = ALL_CHOICES) -> dict[ScoreSpec, Score]:
        return score_encoder(encoder, images, [indicator], batch_size=BATCH_SIZE)

    with kept_freed_memory():
        two_forward_passes()
        choices = list(score())
        one = random.choice(choices)
        chosen = Robustness(
            distances=(one["distance"],), margins=(one["margin"],), levels=(one["level"],),
            poolings=(one["pooled"],),
        )  # fmt: skip
        forward = _seconds(two_forward_passes)
        together = _seconds(score)
        alone = _seconds(lambda: score(chosen))
    return [
        (f"all_choices_over_forward/{name}", together / forward),
        (f"speedup_over_separate/{name}", len(choices) * alone / together),
    ]


def _memory(name: str) -> list[tuple[str, float]]:
    encoder = create_encoder(name)
    peaks = []
    with kept_freed_memory():
        for count in (FEW, MANY):
            score_encoder(encoder, GeneratedImages(count), batch_size=BATCH_SIZE)
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return [(f"memory_growth_mb/{name}", peaks[1] - peaks[0])]


def _of_all(measure: Callable[[str], list[tuple[str, float]]]) -> Measured:
    """Measure every encoder in a process of its own."""
    for name in ENCODERS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            yield from pool.apply(measure, (name,))


if __name__ == "__main__":
    sys.exit(benchmark(__doc__, partial(_of_all, _speed), once=partial(_of_all, _memory)))
