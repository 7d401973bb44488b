"""Randomness from explicit seeds, leaving the global generators as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(*parts: int) -> int:
    """Return one 32-bit seed for a tuple of non-negative integers, such as (seed, epoch, rank).

    Zeros at the end of up to four parts do not count: (1, 2) and (1, 2, 0) give the same seed.
    """
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@contextmanager
def seeded(*parts: int, cuda: bool = True) -> Iterator[None]:
    """Make random numbers within the block a function of `parts`; restore the global generators after it.

    Network initialisation, stochastic depth and torchvision can only draw from torch's global generators,
    timm's mixing from numpy's, its random erasing from Python's.

    Args:
        *parts: As `derived_seed`.
        cuda: Whether the CUDA generators are seeded too; without, the block costs microseconds and also
            runs in a forked process.
    """
    seed = derived_seed(*parts)
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 (timm draws from it)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if cuda else ()):
        if cuda:
            torch.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
