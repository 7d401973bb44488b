"""Stochastic depth as the thesis defines it (eqs. 2.8 and 2.9; Huang et al., arXiv:1603.09382)."""

from timm.layers import DropPath
from torch import Tensor

from raytransfer.errors import InputError


class StochasticDepth(DropPath):
    """Drops a residual branch per image in training, scales it in evaluation.

    Training (eq. 2.8) multiplies the branch by b ~ Bernoulli(1 - p), without rescaling; evaluation (eq. 2.9)
    by 1 - p. timm and torchvision divide by 1 - p in training instead and leave evaluation as it is: with
    their layer, weights trained with this one give other outputs.

    Args:
        rate: Probability p of dropping the branch, in [0, 1).
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__(rate, scale_by_keep=False)

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch (N, ...), dropped or scaled."""
        if self.training or self.drop_prob == 0:
            return super().forward(branch)
        return branch * (1 - self.drop_prob)


def linear_rates(rate: float, blocks: int) -> list[float]:
    """Return one rate per block, from 0 at the first to `rate` at the last.

    Raises:
        InputError: `rate` is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise InputError(f"stochastic_depth must be in [0, 1), got {rate!r}")
    return [rate * block / (blocks - 1) for block in range(blocks)]
