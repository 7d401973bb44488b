"""Distances between representations, from their inner products.

Inner products in float64 are all that cosine, L2 and Pearson need, and large feature maps are read only once
for the three of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

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


DISTANCES: dict[str, Callable[[InnerProducts], Tensor]] = {"cosine": _cosine, "l2": _l2, "pearson": _pearson}
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


def _gram_matrices(query: Tensor, keys: Tensor, *, images: int, entries: int) -> Iterator[Tensor]:
    """Yield the Gram matrix of each group of images: a row of ones, n queries, n + 1 keys."""
    buffer = torch.ones(2 * images + 2, entries, dtype=torch.float64, device=query.device)
    for start in range(0, len(query), images):
        group = query[start : start + images]
        group_keys = keys[start : start + images + 1]
        rows = buffer[: 1 + len(group) + len(group_keys)]
        gram = rows.new_zeros(len(rows), len(rows))
        for low in range(0, query.shape[1], entries):
            block = rows[:, : query.shape[1] - low]
            high = low + block.shape[1]
            block[1 : len(group) + 1] = group[:, low:high]
            block[len(group) + 1 :] = group_keys[:, low:high]
            gram.addmm_(block, block.T)
        yield gram


def neighbour_products(
    query: Tensor, keys: Tensor, *, images: int = 8, entries: int = 16384
) -> tuple[InnerProducts, InnerProducts]:
    """Return the inner products of each query with its own key, and with the next one.

    Blocks of entries are copied to float64 and multiplied with themselves while they are in the cache, so
    feature maps are read once, and the memory needed does not grow with them.

    Args:
        query: (N, D).
        keys: (N + 1, D).
        images: Images in a block: more waste products that nobody needs, fewer copy more keys twice.
        entries: Entries in a block.
    """
    own: list[Tensor] = []
    following: list[Tensor] = []
    size = query.shape[1]
    for gram in _gram_matrices(query, keys, images=min(images, len(query)), entries=min(entries, size)):
        n = len(gram) // 2 - 1
        sums, norms, queries = gram[0], gram.diagonal(), slice(1, n + 1)
        for found, paired in ((own, slice(n + 1, 2 * n + 1)), (following, slice(n + 2, 2 * n + 2))):
            products = gram[queries, paired].diagonal()
            found.append(torch.stack([norms[queries], norms[paired], products, sums[queries], sums[paired]]))

    def joined(parts: list[Tensor]) -> InnerProducts:
        xx, yy, xy, x_sum, y_sum = torch.cat(parts, dim=1).unbind()
        return InnerProducts(xx=xx, yy=yy, xy=xy, x_sum=x_sum, y_sum=y_sum, size=size)

    return joined(own), joined(following)
