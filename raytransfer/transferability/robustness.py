"""The robustness of the thesis (eq. 4.2): jittered views of one image stay close, other images far.

score = 1 - mean_i max(0, d(q_i, k+_i) - d(q_i, k-_i) + margin), where q_i and k+_i are representations of
two colour-jittered views of target image i and k-_i of another image. No labels are used. Higher is better.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raytransfer.config import InputError, unknown_name
from raytransfer.transferability.jitter import ColorJitter


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    norms = (x.square().sum(1) * y.square().sum(1)).sqrt()
    return 1 - (x * y).sum(1) / norms


def _l2(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().mean(1)


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    return _cosine(x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True))


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cosine": _cosine, "l2": _l2, "pearson": _pearson}
"""Distances between the rows of two (N, D) tensors: 1 - cosine, mean squared difference, 1 - Pearson's r."""


def _distance(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    if name not in DISTANCES:
        raise unknown_name("distance", name, DISTANCES)
    return DISTANCES[name]


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
        1 - mean hinge; at most 1.

    Raises:
        InputError: Shapes differ, N is 0, or the distance does not exist.
        ValueError: The score is undefined: a representation is zero (cosine), constant (Pearson) or NaN.
    """
    if not query.shape == positive.shape == negative.shape or query.ndim < 2 or len(query) == 0:
        shapes = [tuple(t.shape) for t in (query, positive, negative)]
        raise InputError(
            f"query, positive and negative must have one shape (N, ...) with N > 0, got {shapes}"
        )
    function = _distance(distance)
    q, p, n = (t.flatten(1).double() for t in (query, positive, negative))
    hinge = (function(q, p) - function(q, n) + margin).clamp_min(0).mean()
    if not torch.isfinite(hinge):
        raise ValueError(
            f"robustness is undefined: distance {distance!r} of a zero or constant representation"
        )
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


@dataclass(frozen=True, kw_only=True)
class RobustnessScore:
    """One parameter choice's score of one encoder on one set of images.

    Attributes:
        distance: "cosine", "l2" or "pearson".
        margin: Margin of the hinge.
        level: Encoder level, from 1.
        pooled: Whether feature maps were averaged over space.
        score: 1 - mean hinge.
        standard_error: Of the score, over images: standard deviation of the hinge (n - 1) / sqrt(n).
        num_images: Images n.
    """

    distance: str
    margin: float
    level: int
    pooled: bool
    score: float
    standard_error: float
    num_images: int


@dataclass
class _HingeSums:
    """Running sums of the hinge and its square, for every choice at once: flat memory, one pass."""

    distances: Sequence[str]
    margins: Tensor
    count: int = 0
    sums: dict[tuple[int, bool, str], Tensor] = field(default_factory=dict)

    def add(self, query: list[Tensor], positive: list[Tensor], negative: list[Tensor], keys: list) -> None:
        """Add a batch; the lists run over (level, pooled) in the order of `keys`."""
        for (level, pooled), q, p, n in zip(keys, query, positive, negative, strict=True):
            for name in self.distances:
                function = DISTANCES[name]
                gap = (function(q, p) - function(q, n)).double().cpu()
                if not torch.isfinite(gap).all():
                    what = "zero or constant" if torch.isfinite(q).all() else "NaN or infinite"
                    raise ValueError(
                        f"robustness is undefined: {what} representation at level {level} (distance {name!r})"
                    )
                hinge = (gap[:, None] + self.margins).clamp_min(0)
                sums = torch.stack([hinge.sum(0), hinge.square().sum(0)])
                key = (level, pooled, name)
                self.sums[key] = self.sums[key] + sums if key in self.sums else sums
        self.count += len(query[0])

    def scores(self) -> list[RobustnessScore]:
        found = []
        for (level, pooled, name), (total, squares) in self.sums.items():
            for margin, s, s2 in zip(self.margins.tolist(), total.tolist(), squares.tolist(), strict=True):
                mean = s / self.count
                variance = max(s2 - self.count * mean**2, 0.0) / (self.count - 1)
                found.append(
                    RobustnessScore(
                        distance=name,
                        margin=margin,
                        level=level,
                        pooled=pooled,
                        score=1 - mean,
                        standard_error=math.sqrt(variance / self.count),
                        num_images=self.count,
                    )
                )
        return found


def _level_numbers(levels: Sequence[int], count: int) -> list[int]:
    numbers = []
    for level in levels:
        number = level if level > 0 else count + 1 + level
        if not 1 <= number <= count:
            raise InputError(f"level {level} does not exist: the encoder has levels 1 to {count}")
        numbers.append(number)
    return list(dict.fromkeys(numbers))


class ImageSequence(Protocol):
    """Images by index: an array (N, H, W, C), or anything that gives arrays (H, W, C)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.float32]: ...


def _batch(images: ImageSequence, indices: list[int]) -> Tensor:
    """Return images as (n, 3, H, W), after checking their form and range."""
    batch = np.stack([images[index] for index in indices])
    if batch.ndim != 4 or batch.shape[3] not in (1, 3):
        raise InputError(f"images must be (H, W, 1) or (H, W, 3), got {batch.shape[1:]}")
    if not np.issubdtype(batch.dtype, np.floating):
        raise InputError(f"images must be floats in [0, 1], got {batch.dtype}")
    low, high = float(batch.min()), float(batch.max())
    if not (low >= 0 and high <= 1):
        raise InputError(f"images must have values in [0, 1], got {low:g} to {high:g}")
    return torch.from_numpy(batch).float().permute(0, 3, 1, 2).expand(-1, 3, -1, -1)


@torch.inference_mode()
def score_encoder(
    encoder: LevelEncoder,
    images: ImageSequence,
    *,
    distances: Sequence[str] = ("cosine",),
    margins: Sequence[float] = (0.5,),
    levels: Sequence[int] = (-2,),
    pooled: Sequence[bool] = (True, False),
    seed: int = 0,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    jitter: ColorJitter | None = None,
) -> list[RobustnessScore]:
    """Score an encoder on a set of images for every combination of choices, in one pass.

    Image i gets two views whose jitters are drawn from (seed, i, view). Images run in a seeded
    permutation; the negative of one is the second view of the next, and of the last the first's. So a
    batch needs only itself and the item carried over from the one before. Hinges are summed in float64.

    Args:
        encoder: Put into evaluation mode and on `device`.
        images: Two or more target images (H, W, C), floats in [0, 1], C = 3 or 1 (grey, given to the encoder
            as three equal channels): an array (N, H, W, C) or another sequence.
        distances: Of "cosine", "l2", "pearson".
        margins: Margins of the hinge.
        levels: Encoder levels; from 1, or negative from the end.
        pooled: True averages feature maps over space, False flattens them.
        seed: Of the jitter and of the pairing.
        batch_size: Images per forward pass; changes speed and memory, not the scores.
        device: Where the encoder runs.
        jitter: Strengths of the colour jitter; the thesis's where None.

    Returns:
        One score per combination, by level, pooling, distance and margin.

    Raises:
        InputError: Fewer than two images, integer or out-of-range images, an unknown distance or level.
        ValueError: A score is undefined because a representation is zero, constant, NaN or infinite.
    """
    if len(images) < 2:
        raise InputError(f"images must be two or more, got {len(images)}")
    for distance in distances:
        _distance(distance)
    jitter = jitter or ColorJitter()
    encoder = encoder.to(device).eval()
    numbers = _level_numbers(levels, len(encoder.level_channels))
    keys = [(level, pool) for level in numbers for pool in pooled]
    sums = _HingeSums(distances=distances, margins=torch.tensor(list(margins), dtype=torch.float64))

    def representations(batch: Tensor, indices: list[int], view: int) -> list[Tensor]:
        maps = encoder.forward_levels(jitter.batch(batch, seed=seed, indices=indices, view=view))
        return [maps[n - 1].mean((2, 3)) if pool else maps[n - 1].flatten(1) for n, pool in keys]

    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    first: list[Tensor] = []  # second view of the first image: the last one's negative
    carried: tuple[list[Tensor], list[Tensor]] | None = None  # both views of the item without a negative yet
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = _batch(images, indices).to(device)
        query, positive = (representations(batch, indices, view) for view in (0, 1))
        if carried is None:
            first = [p[:1] for p in positive]
        else:
            query = [torch.cat(pair) for pair in zip(carried[0], query, strict=True)]
            positive = [torch.cat(pair) for pair in zip(carried[1], positive, strict=True)]
        if len(query[0]) > 1:
            sums.add([q[:-1] for q in query], [p[:-1] for p in positive], [p[1:] for p in positive], keys)
        carried = ([q[-1:] for q in query], [p[-1:] for p in positive])
    if carried is not None:
        sums.add(*carried, first, keys)
    return sums.scores()
