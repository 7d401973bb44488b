"""One pass, all indicators: an encoder runs once over a target, and every indicator sees its feature maps."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raytransfer.errors import InputError, unknown_name
from raytransfer.transferability.indicators.base import (
    Accumulator,
    Batch,
    EncoderInfo,
    Indicator,
    Need,
    Score,
    ScoreSpec,
    TargetInfo,
)
from raytransfer.transferability.indicators.robustness import Robustness
from raytransfer.transferability.jitter import ColorJitter

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What an encoder may compute in; the 16-bit ones by torch's autocast."""


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


class LabelSequence(Protocol):
    """Labels by index of the image: classes (N,), maps of classes (N, H, W), or a sequence of such."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


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


def _computing_in(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return the context for an encoder's forward passes; float32 means it, so no TF32 either."""
    if precision == "float32":
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


@dataclass(frozen=True)
class Shard:
    """What the indicators keep of a part of a target's images; parts add up.

    Attributes:
        accumulators: One per indicator, in their order.
    """

    accumulators: tuple[Accumulator, ...]

    def __add__(self, other: "Shard") -> "Shard":
        pairs = zip(self.accumulators, other.accumulators, strict=True)
        return Shard(tuple(first.merge(second) for first, second in pairs))

    def scores(self) -> list[dict[ScoreSpec, Score]]:
        """Return the scores, a table per indicator."""
        return [accumulator.scores() for accumulator in self.accumulators]


def merged(shards: Sequence[Shard]) -> Shard:
    """Return the sum of shards; the order of a sum changes its digits, so give them in theirs."""
    return reduce(lambda first, second: first + second, shards)


def _check(
    images: ImageSequence,
    labels: LabelSequence | None,
    indicators: Sequence[Indicator],
    batch_size: int,
    precision: str,
) -> None:
    if len(images) < 2:
        raise InputError(f"images must be two or more, got {len(images)}")
    if labels is not None and len(labels) != len(images):
        raise InputError(f"labels must be as many as the {len(images)} images, got {len(labels)}")
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if not indicators:
        raise InputError("indicators must be one or more, got none")
    given = {Need.IMAGES, Need.JITTERED_VIEWS} | ({Need.LABELS} if labels is not None else set())
    for indicator in indicators:
        lacking = sorted(need.name.lower() for need in indicator.needs - given)
        if lacking:
            raise InputError(f"indicator {indicator.name!r} needs {', '.join(lacking)}: none are given")


@torch.inference_mode()
def score_shard(
    encoder: LevelEncoder,
    images: ImageSequence,
    indicators: Sequence[Indicator] = (Robustness(),),
    *,
    labels: LabelSequence | None = None,
    seed: int = 0,
    batch_size: int = 16,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    jitter: ColorJitter | None = None,
    shard: int = 0,
    num_shards: int = 1,
) -> Shard:
    """Return what the indicators keep of one shard of the images; the shards' parts add up.

    Images run in a seeded permutation, of which a shard is a contiguous section. Image i gets two views whose
    jitters are drawn from (seed, i, view), the same for every encoder. Views that no indicator needs are not
    computed.

    Args:
        encoder: Put into evaluation mode and on `device`.
        images: All images, not only the shard's.
        indicators: What is computed.
        labels: Of all images; needed by indicators that say so.
        seed: Of the jitter, of the order of the images, and of what indicators draw.
        batch_size: Images per forward pass; changes speed and memory, scores by less than 1e-6.
        device: Where jitter, encoder and indicators compute.
        precision: As in `score_encoder`.
        jitter: Strengths of the colour jitter; the thesis's where None.
        shard: Which part, from 0.
        num_shards: Number of parts; those beyond the number of images are empty.

    Raises:
        InputError: As `score_encoder`.
        ValueError: As `score_encoder`.
    """
    _check(images, labels, indicators, batch_size, precision)
    if not 0 <= shard < num_shards:
        raise InputError(f"shard must be from 0 to num_shards - 1 = {num_shards - 1}, got {shard}")
    device, jitter = torch.device(device), jitter or ColorJitter()
    encoder = encoder.to(device).eval()
    info = EncoderInfo(level_channels=tuple(encoder.level_channels))
    target = TargetInfo(num_images=len(images), seed=seed)
    accumulators = [indicator.start(info, target) for indicator in indicators]
    needs = frozenset().union(*(indicator.needs for indicator in indicators))
    # Feature maps are large: those of the images are let go of before the views' are made, where no indicator
    # needs both.
    plain, others = list[Accumulator](), list[Accumulator]()
    for indicator, accumulator in zip(indicators, accumulators, strict=True):
        (others if Need.JITTERED_VIEWS in indicator.needs else plain).append(accumulator)
    both = any({Need.IMAGES, Need.JITTERED_VIEWS} <= indicator.needs for indicator in indicators)

    def feature_maps(batch: Tensor) -> list[Tensor]:
        with _computing_in(precision, device):
            return encoder.forward_levels(batch.expand(-1, 3, -1, -1))

    def view(batch: Tensor, indices: Sequence[int], number: int) -> list[Tensor]:
        return feature_maps(jitter(batch, seed=seed, indices=indices, view=number))

    low, high = (len(images) * s // num_shards for s in (shard, shard + 1))
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    section = [order[position % len(order)] for position in range(low, high + 1)] if low < high else []

    def feed(start: int) -> None:
        """Compute a batch and give it to the indicators; its feature maps end with the function."""
        indices = section[start : start + batch_size]
        own = section[start : min(start + batch_size, len(section) - 1)]
        common: dict[str, Any] = {
            "indices": indices,
            "num_own": len(own),
            "is_last": start + batch_size >= len(section),
            "labels": [np.asarray(labels[i]) for i in own] if labels is not None else (),
        }
        batch = _batch(images, indices).to(device)
        levels = feature_maps(batch[: len(own)]) if Need.IMAGES in needs and own else []
        for accumulator in plain if own else []:
            accumulator.update(Batch(**common, levels=levels))
        if Need.JITTERED_VIEWS in needs:
            levels = levels if both else []
            second = view(batch, indices, 1)
            first = view(batch[: len(own)], own, 0) if own else [maps[:0] for maps in second]
            for accumulator in others:
                accumulator.update(Batch(**common, levels=levels, views=(first, second)))

    for start in range(0, len(section), batch_size):
        try:
            feed(start)
        except InputError:
            raise
        except ValueError as error:
            if precision != "float16":
                raise
            raise ValueError(f"{error} (float16 ends at 65504: try float32)") from error
    return Shard(tuple(accumulators))


def score_encoder(
    encoder: LevelEncoder,
    images: ImageSequence,
    indicators: Sequence[Indicator] = (Robustness(),),
    *,
    labels: LabelSequence | None = None,
    seed: int = 0,
    batch_size: int = 16,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    jitter: ColorJitter | None = None,
) -> dict[ScoreSpec, Score]:
    """Score an encoder on a set of images by all indicators, for every choice of their parameters.

    Args:
        encoder: Put into evaluation mode and on `device`.
        images: Two or more target images (H, W, C), floats in [0, 1], C = 3 or 1 (grey, given to the encoder
            as three equal channels): an array (N, H, W, C) or another sequence.
        indicators: What is computed, in one pass.
        labels: A class or a map of classes (H, W) per image; needed by indicators that say so.
        seed: Of the jitter, of the order of the images, and of what indicators draw.
        batch_size: Images per forward pass; changes speed and memory, the scores by less than 1e-6.
        device: Where jitter, encoder and indicators compute.
        precision: "float32", or "float16" or "bfloat16" for mixed precision in the encoder (autocast). On the
            demo's trained encoders float16 changed no robustness by more than 4e-4 (median 2e-5), at most a
            quarter of its standard error, and bfloat16 none by more than 2.5e-3 (median 1e-4).
        jitter: Strengths of the colour jitter; the thesis's where None.

    Returns:
        Every score by its spec, in the order of the indicators and of their specs.

    Raises:
        InputError: Fewer than two images, integer or out-of-range images, labels that an indicator needs and
            does not get, or what an indicator cannot be computed of.
        ValueError: A representation is NaN or infinite; the message names level and image.
    """
    tables = score_shard(
        encoder, images, indicators, labels=labels, seed=seed, batch_size=batch_size, device=device,
        precision=precision, jitter=jitter,
    ).scores()  # fmt: skip
    found: Mapping[ScoreSpec, Score] = {spec: score for table in tables for spec, score in table.items()}
    return dict(found)
