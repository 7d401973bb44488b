"""What an indicator is, and what it says: scores, each with the parameters that it was computed with."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache, total_ordering
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from raytransfer.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Option = str | int | float


class Need(Enum):
    """What an indicator must be given; the scorer computes what some indicator needs, and nothing else."""

    IMAGES = auto()
    """Feature maps of the images as they are."""
    JITTERED_VIEWS = auto()
    """Feature maps of two colour-jittered views of each image."""
    LABELS = auto()
    """The target's labels: a class per image, or a map of classes."""
    SOURCE_PROBABILITIES = auto()
    """Class probabilities of the pretraining task."""


def level_from_end(level: int, num_levels: int) -> int:
    """Return an encoder level counted from the end, -1 being the deepest, as levels are counted inside.

    Args:
        level: From 1 (the highest resolution), or from the end already.
        num_levels: Levels of the encoder.

    Raises:
        InputError: The encoder has no such level.

    Examples:
        >>> level_from_end(4, 5), level_from_end(-2, 5)
        (-2, -2)
    """
    if not 1 <= abs(level) <= num_levels:
        raise InputError(f"level {level} does not exist: the encoder has levels 1 to {num_levels}")
    return level if level < 0 else level - num_levels - 1


@total_ordering
@dataclass(frozen=True)
class ScoreSpec:
    """One choice of an indicator's parameters: what a score is a score of.

    Specs are ordered by indicator, options, level and pooling. Their text reads back (`parse`).

    Attributes:
        indicator: Its name.
        level: Encoder level from the end, -1 the deepest, so that encoders of different depth compare; None
            where the indicator does not look at a level.
        pooled: Whether feature maps are averaged over space; None where the indicator leaves no choice.
        options: (name, value) of its other parameters, by name.

    Examples:
        >>> spec = ScoreSpec("robustness", -2, True, (("margin", 0.5), ("distance", "cosine")))
        >>> str(spec)
        'robustness(distance=cosine, margin=0.5, level=-2, pooled=true)'
        >>> ScoreSpec.parse(str(spec)) == spec
        True
    """

    indicator: str
    level: int | None = None
    pooled: bool | None = None
    options: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        if self.level is not None and self.level >= 0:
            raise ValueError(f"level must be negative, counted from the end, got {self.level}")
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    def __getitem__(self, parameter: str) -> Any:
        """Return the value of a parameter: "level", "pooled" or an option.

        Raises:
            KeyError: The indicator has no such parameter.
        """
        return self.parameters[parameter]

    @property
    def parameters(self) -> dict[str, Any]:
        """The options, then "level" and "pooled" where the indicator has them."""
        fixed = {"level": self.level, "pooled": self.pooled}
        return {**dict(self.options), **{name: value for name, value in fixed.items() if value is not None}}

    @property
    def options_text(self) -> str:
        """The options as text, `distance=cosine, margin=0.5`; equal options have equal texts."""
        return ", ".join(f"{name}={option_text(value)}" for name, value in self.options)

    def __lt__(self, other: Self) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[Any, ...]:
        return self.indicator, self.options, self.level or 0, bool(self.pooled)

    def __str__(self) -> str:
        level = [] if self.level is None else [f"level={self.level}"]
        pooled = [] if self.pooled is None else [f"pooled={str(self.pooled).lower()}"]
        inside = ", ".join([*filter(None, [self.options_text]), *level, *pooled])
        return f"{self.indicator}({inside})" if inside else self.indicator

    @classmethod
    def parse(cls, text: str) -> ScoreSpec:
        """Read what `str` writes.

        Raises:
            InputError: It reads otherwise.
        """
        match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", text)
        if match is None:
            raise InputError(f"a score reads indicator(parameter=value, ...), got {text!r}")
        parameters = dict(_options(match[2] or ""))
        level, pooled = parameters.pop("level", None), parameters.pop("pooled", None)
        if pooled not in (None, "true", "false"):
            raise InputError(f"pooled must be true or false, got {pooled!r} in {text!r}")
        if level is not None and (not isinstance(level, int) or level >= 0):
            raise InputError(f"level must be a negative whole number, got {level!r} in {text!r}")
        return cls(match[1], level, None if pooled is None else pooled == "true", tuple(parameters.items()))


def option_text(value: Option) -> str:
    """Return an option as text that reads back; equal numbers have equal texts."""
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _options(text: str) -> tuple[tuple[str, Option], ...]:
    found: list[tuple[str, Option]] = []
    for part in text.split(",") if text.strip() else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise InputError(f"parameters read name=value, got {part.strip()!r}")
        try:
            number = json.loads(value)
        except ValueError:
            number = None
        found.append((name, number if type(number) in (int, float) else value))
    return tuple(found)


@lru_cache(maxsize=65536)
def spec_of_columns(indicator: str, level: int | None, pooled: bool | None, options: str) -> ScoreSpec:
    """Return the spec of a row of a table, whose options are text as in `options_text`."""
    return ScoreSpec(indicator, level, pooled, _options(options))


@dataclass(frozen=True)
class Score:
    """What an indicator says of an encoder on a target, with one choice of its parameters.

    Attributes:
        value: Higher is better; never NaN.
        standard_error: Of the value, over images; the indicator says what it takes as independent. None
            where it gives none.
        num_images: Images that it was computed from.
    """

    value: float
    standard_error: float | None
    num_images: int

    def __post_init__(self) -> None:
        if math.isnan(self.value):
            raise ValueError("a score is never NaN: an indicator that cannot be computed raises an error")


@dataclass(frozen=True, kw_only=True)
class EncoderInfo:
    """What an indicator may know of an encoder before it has seen its feature maps.

    Attributes:
        level_channels: Channels of each level, the highest resolution first.
    """

    level_channels: tuple[int, ...]

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels, from -L, the highest resolution, to -1."""
        return tuple(range(-len(self.level_channels), 0))


@dataclass(frozen=True, kw_only=True)
class TargetInfo:
    """What an indicator may know of a target before it has seen its images.

    Attributes:
        num_images: Images of the target, of all shards.
        seed: From which all random numbers of an indicator follow.
    """

    num_images: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images of one shard, in the seeded order in which all indicators see them.

    The order is a permutation, of which a shard is a contiguous section. The image after a shard's last one,
    the next shard's first, is there too, with its second view only: what compares an image with the next one
    needs no other.

    Attributes:
        indices: Of the images in their dataset, n of them.
        num_own: How many of them are the shard's own: n, or n - 1 where the last is the next shard's.
        is_last: Whether the shard has no more images.
        levels: Per level, the highest resolution first, feature maps (num_own, C_l, H_l, W_l); empty unless
            an indicator needs `Need.IMAGES`.
        views: Feature maps of the first view, of the shard's own images, and of the second view, of all n;
            empty unless an indicator needs `Need.JITTERED_VIEWS`.
        labels: Of the shard's own images, a class () or a map of classes (H, W) each; empty unless an
            indicator needs `Need.LABELS`.
    """

    indices: Sequence[int]
    num_own: int
    is_last: bool
    levels: Sequence[Tensor] = ()
    views: tuple[Sequence[Tensor], Sequence[Tensor]] = ((), ())
    labels: Sequence[NDArray[Any]] = ()


class Accumulator(Protocol):
    """What an indicator keeps of the batches that it has seen. It can be sent to another process."""

    def update(self, batch: Batch) -> None:
        """Take a batch in; batches of a shard come in order.

        Raises:
            ValueError: A feature is NaN or infinite; the message names level and image.
        """

    def merge(self, other: Self) -> Self:
        """Return what the images of both give; neither is used afterwards."""

    def scores(self) -> dict[ScoreSpec, Score]:
        """Return all scores, in the order of the indicator's specs.

        Raises:
            InputError: The indicator has no value for what it was given, such as too few images or classes.
        """


@runtime_checkable
class Indicator(Protocol):
    """A transferability metric: feature maps in, scores out. A frozen dataclass of its options."""

    @property
    def name(self) -> str:
        """What it is registered as."""

    @property
    def needs(self) -> frozenset[Need]:
        """What its accumulator must be given."""

    def specs(self, encoder: EncoderInfo) -> Sequence[ScoreSpec]:
        """Return what it computes of an encoder, cheaply: before anything is computed."""

    def start(self, encoder: EncoderInfo, target: TargetInfo) -> Accumulator:
        """Return an accumulator that has seen nothing."""


Scores = Mapping[ScoreSpec, Score]
