"""Learning rates per optimiser step, from torch's schedulers."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, PolynomialLR, SequentialLR

START_FACTOR, FINAL_RATE = 1e-6, 1e-6


def warmup_cosine(optimizer: Optimizer, *, warmup_steps: int, total_steps: int) -> LRScheduler:
    """Rise linearly from 1e-6 times the base rate, then fall to 1e-6 along a cosine (thesis, sec. 2.2).

    Args:
        optimizer: Holds the base rate.
        warmup_steps: Steps of the rise.
        total_steps: Steps of the whole training.
    """
    cosine = CosineAnnealingLR(optimizer, T_max=max(total_steps - warmup_steps, 1), eta_min=FINAL_RATE)
    if warmup_steps == 0:
        return cosine
    warmup = LinearLR(optimizer, start_factor=START_FACTOR, total_iters=warmup_steps)
    return SequentialLR(optimizer, [warmup, cosine], milestones=[warmup_steps])


def polynomial(optimizer: Optimizer, *, total_steps: int, exponent: float) -> LRScheduler:
    """Fall from the base rate as (1 - step / total_steps) ** exponent."""
    return PolynomialLR(optimizer, total_iters=total_steps, power=exponent)
