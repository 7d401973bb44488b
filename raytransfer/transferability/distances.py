"""Distances between representations, from their inner products.

Inner products in float64 are all that cosine, L2 and Pearson need, and large feature maps are read only once
for the three of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raytransfer.transferability.settings import DISTANCE_NAMES

_PARTS = 8  # of a block, each apart in memory and multiplied apart: a product of a few rows runs on one core
_ROUNDING = 1e-14  # relative variance of a representation that is constant but for float32's rounding


@dataclass(frozen=True, kw_only=True)
class InnerProducts:
    """Inner products of N pairs (x, y) of representations with D entries each.

    Attributes:
        xx: Squared norms of x, (N,) float64.
        yy: Squared norms of y.
        xy: Inner products.
        x_sum: Sums of the entries of x.
        y_sum: Sums of the entries of y.
        size: D.
    """

    xx: Tensor
    yy: Tensor
    xy: Tensor
    x_sum: Tensor
    y_sum: Tensor
    size: int


def _one_minus_ratio(xx: Tensor, yy: Tensor, xy: Tensor, undefined: Tensor) -> Tensor:
    ratio = (xy / (xx * yy).sqrt()).clamp(-1, 1)
    return 1 - torch.where(undefined, 0.0, ratio)


def _cosine(products: InnerProducts) -> Tensor:
    undefined = (products.xx == 0) | (products.yy == 0)
    return _one_minus_ratio(products.xx, products.yy, products.xy, undefined)


def _l2(products: InnerProducts) -> Tensor:
    return (products.xx + products.yy - 2 * products.xy).clamp_min(0) / products.size


def _pearson(products: InnerProducts) -> Tensor:
    x_variance = products.xx - products.x_sum.square() / products.size
    y_variance = products.yy - products.y_sum.square() / products.size
    covariance = products.xy - products.x_sum * products.y_sum / products.size
    undefined = (x_variance <= _ROUNDING * products.xx) | (y_variance <= _ROUNDING * products.yy)
    return _one_minus_ratio(x_variance, y_variance, covariance, undefined)


DISTANCES: dict[str, Callable[[InnerProducts], Tensor]] = dict(
    zip(DISTANCE_NAMES, (_cosine, _l2, _pearson), strict=True)
)
"""1 - cosine, mean squared difference, 1 - Pearson's r: (N,) float64, NaN only for NaN or infinite entries.

Where one side is zero (cosine) or constant (Pearson) there is no direction to compare, and the distance is 1,
as for orthogonal or uncorrelated ones. scikit-learn's cosine distance and torch's similarity do the same.
"""


def pair_products(x: Tensor, y: Tensor) -> InnerProducts:
    """Return the inner products of the rows of two (N, D) tensors."""
    x, y = x.double(), y.double()
    return InnerProducts(
        xx=x.square().sum(1),
        yy=y.square().sum(1),
        xy=(x * y).sum(1),
        x_sum=x.sum(1),
        y_sum=y.sum(1),
        size=x.shape[1],
    )


def _group_products(
    query: Sequence[Tensor], keys: Sequence[Tensor], buffer: Tensor, entries: int
) -> tuple[InnerProducts, InnerProducts]:
    """Return the inner products of n queries with their n + 1 keys; the buffer holds a block of entries."""
    n, size = len(query), len(keys[0])
    rows = (*query, *keys)
    crossed = buffer.new_zeros(_PARTS, n, n + 1)
    norms, sums = buffer.new_zeros(_PARTS, len(rows)), buffer.new_zeros(_PARTS, len(rows))
    for low in range(0, size, entries):
        high = min(low + entries, size)
        parts = math.gcd(_PARTS, high - low)
        block = buffer[: len(rows) * (high - low)].view(parts, len(rows), -1)
        for copy, row in zip(block.unbind(1), rows, strict=True):
            copy.copy_(row[low:high].unflatten(0, (parts, -1)))
        crossed[:parts].baddbmm_(block[:, :n], block[:, n:].mT)
        norms[:parts] += torch.linalg.vector_norm(block, dim=2).square_()
        sums[:parts] += block.sum(2)
    products, norm, total = crossed.sum(0), norms.sum(0), sums.sum(0)

    def paired_with(keys: slice, products: Tensor) -> InnerProducts:
        return InnerProducts(
            xx=norm[:n], yy=norm[n:][keys], xy=products, x_sum=total[:n], y_sum=total[n:][keys], size=size
        )

    own = paired_with(slice(0, n), products.diagonal())
    return own, paired_with(slice(1, n + 1), products.diagonal(1))


def neighbour_products(
    query: Sequence[Tensor], keys: Sequence[Tensor], *, images: int = 4, entries: int = 131072
) -> tuple[InnerProducts, InnerProducts]:
    """Return the inner products of each query with its own key, and with the next one.

    Blocks of entries are copied to float64 and multiplied while they are in a cache, so feature maps are
    read once, and the memory needed does not grow with them.

    Args:
        query: N tensors (D,), or one (N, D).
        keys: N + 1 tensors (D,), or one (N + 1, D).
        images: Images in a block: more waste products that nobody needs, fewer copy more keys twice.
        entries: Entries in a block.
    """
    images, entries = min(images, len(query)), min(entries, len(keys[0]))
    buffer = keys[0].new_empty((2 * images + 1) * entries, dtype=torch.float64)
    pairs = [
        _group_products(query[start : start + images], keys[start : start + images + 1], buffer, entries)
        for start in range(0, len(query), images)
    ]
    own, following = zip(*pairs, strict=True)
    return _joined(own), _joined(following)


def _joined(parts: Sequence[InnerProducts]) -> InnerProducts:
    names = ("xx", "yy", "xy", "x_sum", "y_sum")
    return InnerProducts(
        **{name: torch.cat([getattr(part, name) for part in parts]) for name in names}, size=parts[0].size
    )
