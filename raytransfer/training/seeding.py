"""Randomness from explicit seeds, leaving the global generators as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(*parts: int) -> int:
    """Return one 32-bit seed for a tuple of non-negative integers, such as (seed, epoch, rank)."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@contextmanager
def seeded(*parts: int) -> Iterator[None]:
    """Make torch's random numbers within the block a function of `parts`; restore the generators after it.

    Network initialisation and stochastic depth can only draw from torch's global generators.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derived_seed(*parts))
        yield
