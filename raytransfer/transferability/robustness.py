"""The robustness of the thesis (eq. 4.2): jittered views of one image stay close, other images far.

score = 1 - mean_i max(0, d(q_i, k+_i) - d(q_i, k-_i) + margin), where q_i and k+_i are representations of
two colour-jittered views of target image i and k-_i of another image. No labels are used. Higher is better.

What unusual input gives:

- A representation that is zero (cosine) or constant (Pearson) has distance 1 to every other, so an encoder
  that has collapsed tells no image apart and scores 1 - margin, as one that maps all images to one vector.
- Equal images are other images all the same: their score is close to 1 - margin.
- NaN or infinite representations are an error that names level and image; a score is never NaN.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raytransfer.errors import InputError, unknown_name
from raytransfer.transferability.distances import DISTANCES, neighbour_products, pair_products
from raytransfer.transferability.hinge_sums import HingeSums, RobustnessScore
from raytransfer.transferability.jitter import ColorJitter
from raytransfer.transferability.settings import MARGINS

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What an encoder may compute in; the 16-bit ones by torch's autocast."""


def _check_choices(distances: Sequence[str], margins: Sequence[float]) -> None:
    for distance in distances:
        if distance not in DISTANCES:
            raise unknown_name("distance", distance, DISTANCES)
    for margin in margins:
        if not 0 <= margin < float("inf"):
            raise InputError(f"margin must be at least 0 and finite, got {margin}")


def robustness(
    query: Tensor, positive: Tensor, negative: Tensor, *, distance: str = "cosine", margin: float = 0.5
) -> float:
    """Return the robustness of given representations.

    Args:
        query: Representations (N, ...) of one view of N images; entries after the first axis are flattened.
        positive: Of another view of the same images.
        negative: Of views of other images.
        distance: "cosine", "l2" (mean squared difference) or "pearson".
        margin: Margin of the hinge, at least 0.

    Returns:
        1 - mean hinge; at most 1. See the module for zero and constant representations.

    Raises:
        InputError: Shapes differ, N is 0, the distance does not exist, or the margin is negative.
        ValueError: A representation is NaN or infinite.
    """
    if not query.shape == positive.shape == negative.shape or query.ndim < 2 or query.numel() == 0:
        shapes = [tuple(t.shape) for t in (query, positive, negative)]
        raise InputError(
            f"query, positive and negative must have one shape (N, ...) with N > 0, got {shapes}"
        )
    _check_choices([distance], [margin])
    q, p, n = (t.flatten(1) for t in (query, positive, negative))
    function = DISTANCES[distance]
    hinge = (function(pair_products(q, p)) - function(pair_products(q, n)) + margin).clamp_min(0).mean()
    if not torch.isfinite(hinge):
        raise ValueError("query, positive and negative must be finite, one holds NaN or infinite entries")
    return 1 - float(hinge)


class LevelEncoder(Protocol):
    """What is asked of an encoder: any `raytransfer.models.Encoder`, or a module with these members."""

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of each level."""

    def forward_levels(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps (N, C_l, H_l, W_l) of images (N, 3, H, W) in [0, 1]."""

    def to(self, device: str | torch.device) -> Self:
        """Move to a device."""

    def eval(self) -> Self:
        """Switch to evaluation mode."""


class ImageSequence(Protocol):
    """Images by index: an array (N, H, W, C), or anything that gives arrays (H, W, C)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.float32]: ...


def _batch(images: ImageSequence, indices: Sequence[int]) -> Tensor:
    """Return images as (n, C, H, W), after checking their form and range."""
    batch = np.stack([images[index] for index in indices])
    if batch.ndim != 4 or batch.shape[3] not in (1, 3):
        raise InputError(f"images must be (H, W, 1) or (H, W, 3), got {batch.shape[1:]}")
    if not np.issubdtype(batch.dtype, np.floating):
        raise InputError(f"images must be floats in [0, 1], got {batch.dtype}")
    low, high = float(batch.min()), float(batch.max())
    if not (low >= 0 and high <= 1):
        raise InputError(f"images must have values in [0, 1], got {low:g} to {high:g}")
    return torch.from_numpy(batch).float().permute(0, 3, 1, 2).contiguous()


def _level_numbers(levels: Sequence[int] | None, count: int) -> list[int]:
    numbers = []
    for level in range(1, count + 1) if levels is None else levels:
        number = level if level > 0 else count + 1 + level
        if not 1 <= number <= count:
            raise InputError(f"level {level} does not exist: the encoder has levels 1 to {count}")
        numbers.append(number)
    return list(dict.fromkeys(numbers))


def _computing_in(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return the context for an encoder's forward passes; float32 means it, so no TF32 either."""
    if precision == "float32":
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def _gaps(
    query: Sequence[Sequence[Tensor]], keys: Sequence[Sequence[Tensor]], distances: Sequence[str]
) -> Tensor:
    """Return d(q_i, k_i) - d(q_i, k_(i+1)), (R, N), with a row per representation and distance.

    Args:
        query: Per representation, N tensors (D,).
        keys: Per representation, N + 1 tensors (D,).
        distances: Names.
    """
    rows = []
    for q, k in zip(query, keys, strict=True):
        own, following = neighbour_products(q, k)
        rows += [DISTANCES[name](own) - DISTANCES[name](following) for name in distances]
    return torch.stack(rows)


Carried = list[tuple[list[Tensor], list[Tensor]]]
"""Per representation, both views of the image that has no negative yet; none at the start."""


@torch.inference_mode()
def hinge_sums(
    encoder: LevelEncoder,
    images: ImageSequence,
    *,
    distances: Sequence[str] = tuple(DISTANCES),
    margins: Sequence[float] = MARGINS,
    levels: Sequence[int] | None = None,
    pooled: Sequence[bool] = (True, False),
    seed: int = 0,
    batch_size: int = 16,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    jitter: ColorJitter | None = None,
    shard: int = 0,
    num_shards: int = 1,
) -> HingeSums:
    """Return one shard's part of the sums behind `score_encoder`; the shards' parts add up.

    Images run in a seeded permutation, of which a shard is a contiguous section. The negative of one image is
    the second view of the next, and of the last the first's, so a batch needs itself and the image carried
    over from the one before, and a shard the second view of the image after its last.

    Args:
        encoder: As in `score_encoder`, like all that is not named here.
        images: All images, not only the shard's.
        distances: See there.
        margins: See there.
        levels: See there.
        pooled: See there.
        seed: See there.
        batch_size: See there.
        device: See there.
        precision: See there.
        jitter: See there.
        shard: Which part, from 0.
        num_shards: Number of parts; those beyond the number of images are empty.

    Raises:
        InputError: As `score_encoder`.
        ValueError: As `score_encoder`.
    """
    if len(images) < 2:
        raise InputError(f"images must be two or more, got {len(images)}")
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if not 0 <= shard < num_shards:
        raise InputError(f"shard must be from 0 to num_shards - 1 = {num_shards - 1}, got {shard}")
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    _check_choices(distances, margins)
    device, jitter = torch.device(device), jitter or ColorJitter()
    encoder = encoder.to(device).eval()
    keys = [(n, pool) for n in _level_numbers(levels, len(encoder.level_channels)) for pool in pooled]
    sums = HingeSums.zero([(*key, distance) for key in keys for distance in distances], margins)

    def representations(batch: Tensor, indices: Sequence[int], view: int) -> list[Tensor]:
        views = jitter(batch, seed=seed, indices=indices, view=view).expand(-1, 3, -1, -1)
        with _computing_in(precision, device):
            maps = encoder.forward_levels(views)
        return [
            maps[n - 1].mean((2, 3), dtype=torch.float32) if pool else maps[n - 1].flatten(1)
            for n, pool in keys
        ]

    low, high = (len(images) * s // num_shards for s in (shard, shard + 1))
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    section = [order[position % len(order)] for position in range(low, high + 1)] if low < high else []

    def batch_gaps(start: int, carried: Carried) -> tuple[Tensor | None, Carried]:
        """Return the gaps of a batch and what it carries over; its feature maps end with the function."""
        indices = section[start : start + batch_size]
        scored = section[start : min(start + batch_size, len(section) - 1)]
        batch = _batch(images, indices).to(device)
        second = representations(batch, indices, 1)
        first = representations(batch[: len(scored)], scored, 0) if scored else [batch[:0]] * len(second)
        query = [[*before, *f[: len(indices) - 1]] for (before, _), f in zip(carried, first, strict=True)]
        after = [[*before, *s] for (_, before), s in zip(carried, second, strict=True)]
        gaps = _gaps(query, after, distances) if query[0] else None
        return gaps, [
            ([f[-1].clone()], [s[-1].clone()]) for f, s in zip(first, second, strict=True) if scored
        ]

    carried: Carried = [([], []) for _ in keys]
    for start in range(0, len(section), batch_size):
        gaps, carried = batch_gaps(start, carried)
        if gaps is not None:
            found = gaps.cpu().numpy()
            _check_finite(found, sums, section[max(start - 1, 0) :], precision)
            sums = sums.with_gaps(found)
    return sums


def _check_finite(gaps: NDArray[np.float64], sums: HingeSums, indices: Sequence[int], precision: str) -> None:
    """Raise ValueError naming the first level and image whose representation is NaN or infinite."""
    bad = np.argwhere(~np.isfinite(gaps))
    if len(bad):
        level, image = sums.representations[bad[0, 0]][0], indices[bad[0, 1]]
        remedy = " (float16 ends at 65504: try float32)" if precision == "float16" else ""
        raise ValueError(
            f"the encoder's output at level {level} is NaN or infinite for image {image} or the next{remedy}"
        )


def score_encoder(
    encoder: LevelEncoder,
    images: ImageSequence,
    *,
    distances: Sequence[str] = tuple(DISTANCES),
    margins: Sequence[float] = MARGINS,
    levels: Sequence[int] | None = None,
    pooled: Sequence[bool] = (True, False),
    seed: int = 0,
    batch_size: int = 16,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    jitter: ColorJitter | None = None,
) -> list[RobustnessScore]:
    """Score an encoder on a set of images for every combination of choices, in one pass over both views.

    Image i gets two views whose jitters are drawn from (seed, i, view), the same for every encoder. The
    negatives follow a seeded derangement (see `hinge_sums`). Distances and sums are in float64.

    Args:
        encoder: Put into evaluation mode and on `device`.
        images: Two or more target images (H, W, C), floats in [0, 1], C = 3 or 1 (grey, given to the encoder
            as three equal channels): an array (N, H, W, C) or another sequence.
        distances: Of "cosine", "l2", "pearson".
        margins: Margins of the hinge.
        levels: Encoder levels; from 1, or negative from the end. None for all.
        pooled: True averages feature maps over space, False flattens them.
        seed: Of the jitter and of the pairing.
        batch_size: Images per forward pass; changes speed and memory, the scores by less than 1e-6.
        device: Where jitter, encoder and distances are computed.
        precision: "float32", or "float16" or "bfloat16" for mixed precision in the encoder (autocast). On the
            demo's trained encoders float16 changed no score by more than 4e-4 (median 2e-5), at most a
            quarter of its standard error, and bfloat16 none by more than 2.5e-3 (median 1e-4).
        jitter: Strengths of the colour jitter; the thesis's where None.

    Returns:
        One score per combination, by level, pooling, distance and margin.

    Raises:
        InputError: Fewer than two images, integer or out-of-range images, an unknown distance or level.
        ValueError: A representation is NaN or infinite; the message names level and image.
    """
    return hinge_sums(
        encoder, images, distances=distances, margins=margins, levels=levels, pooled=pooled, seed=seed,
        batch_size=batch_size, device=device, precision=precision, jitter=jitter,
    ).scores()  # fmt: skip
