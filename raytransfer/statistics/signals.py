"""Signals: which of an indicator's scores a decision follows, in every protocol."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from raytransfer.errors import InputError, unknown_name
from raytransfer.models.names import num_levels
from raytransfer.scheduling.registry import RULES, call_from_text
from raytransfer.transferability.indicators.base import (
    EncoderInfo,
    Option,
    ScoreSpec,
    level_from_end,
    option_text,
)
from raytransfer.transferability.indicators.registry import INDICATORS, read_indicator
from raytransfer.transferability.settings import DISTANCE_NAMES, POOLINGS, RobustnessSettings

PARAMETERS = ("distance", "margin", "level", "pooled")
"""What the thesis varies of the robustness."""


@dataclass(frozen=True)
class Signal:
    """A score spec for both protocols; the defaults are the thesis's.

    Attributes:
        indicator: Its name.
        options: (name, value) of its parameters but level and pooling, by name.
        level: Encoder level: from 1, or negative from the end, -1 being the deepest; None where the indicator
            has none.
        pooled: Protocols in which representations are averaged over space; None where that is no choice.
    """

    indicator: str = "robustness"
    options: tuple[tuple[str, Option], ...] = (("distance", "cosine"), ("margin", 0.5))
    level: int | None = -2
    pooled: tuple[str, ...] | None = ("frozen",)

    @classmethod
    def of_study(cls, config: RobustnessSettings) -> "Signal":
        """Return what chooses checkpoints by a study's settings."""
        return cls().varied(
            distance=config.distance, margin=config.margin, level=config.level, pooled=POOLINGS[config.pooled]
        )

    @classmethod
    def of_spec(cls, spec: ScoreSpec) -> "Signal":
        """Return the signal that follows one spec in all protocols."""
        pooled = None if spec.pooled is None else POOLINGS["always" if spec.pooled else "never"]
        return cls(spec.indicator, spec.options, spec.level, pooled)

    def varied(self, **parameters: Any) -> "Signal":
        """Return a copy with other values of "level", "pooled" or options that it has."""
        fixed = {name: parameters.pop(name) for name in ("level", "pooled") if name in parameters}
        options = dict(self.options)
        for name in parameters:
            if name not in options:
                raise unknown_name(f"option of {self.indicator}", name, options)
        return replace(self, options=tuple(sorted({**options, **parameters}.items())), **fixed)

    def __getitem__(self, parameter: str) -> Any:
        """Return the value of "level", "pooled" or an option."""
        return {"level": self.level, "pooled": self.pooled, **dict(self.options)}[parameter]

    def choice(self, encoder: str, protocol: str) -> ScoreSpec:
        """Return the spec for an encoder in a protocol.

        Raises:
            InputError: The level counts from 1, and the encoder does not have it.
        """
        level = self.level
        if level is not None and level > 0:
            level = level_from_end(level, num_levels(encoder))
        return ScoreSpec(
            self.indicator, level, None if self.pooled is None else protocol in self.pooled, self.options
        )

    @property
    def pooling(self) -> str:
        """Name of the protocols in which representations are averaged."""
        protocols = set(self.pooled or ())
        return next(name for name, of in POOLINGS.items() if set(of) == protocols)

    def __str__(self) -> str:
        """Return the text that `read_signal` takes; a robustness goes by the name of its distance."""
        options = dict(self.options)
        head = str(options.pop("distance", self.indicator))
        parts = [f"{name}={option_text(value)}" for name, value in options.items()]
        parts += [] if self.level is None else [f"level={self.level}"]
        parts += [] if self.pooled is None else [f"pooled={self.pooling}"]
        return f"{head}({', '.join(parts)})"


def _read_pooled(pooled: str) -> tuple[str, ...]:
    if pooled not in POOLINGS:
        raise unknown_name("pooled", pooled, POOLINGS)
    return POOLINGS[pooled]


def _default_signal(head: str) -> Signal:
    """Return what a name alone means: a distance, or an indicator with its first spec's options."""
    thesis = Signal()
    if head == thesis.indicator or head in DISTANCE_NAMES:
        return thesis if head == thesis.indicator else thesis.varied(distance=head)
    first = read_indicator(head).specs(EncoderInfo(level_channels=(1, 1)))[0]
    level = None if first.level is None else thesis.level
    return Signal(head, first.options, level, None if first.pooled is None else thesis.pooled)


def _builder(head: str) -> Callable[..., Signal]:
    """Return a function of a signal's parameters, which `call_from_text` reads from its signature."""
    default = _default_signal(head)
    arguments: dict[str, Option] = dict(default.options)
    if head in DISTANCE_NAMES:
        del arguments["distance"]
    if default.level is not None:
        arguments["level"] = default.level
    if default.pooled is not None:
        arguments["pooled"] = default.pooling

    def build(**given: Any) -> Signal:
        if given.get("level") == 0:
            raise InputError("level must be from 1 up or negative from the end, got 0")
        if "pooled" in given:
            given["pooled"] = _read_pooled(given["pooled"])
        return default.varied(**given)

    signature = inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=type(value))
            for name, value in arguments.items()
        ]
    )
    vars(build)["__signature__"] = signature
    return build


def read_signal(text: str) -> Signal:
    """Read a signal such as `l2(margin=1, level=-4, pooled=never)` or `knn(level=-1)`.

    What is not given is the thesis's, or the indicator's default.

    Raises:
        InputError: It reads otherwise, or an unknown distance or indicator, argument or pooling.
    """
    known: dict[str, Any] = dict.fromkeys([*DISTANCE_NAMES, *INDICATORS])
    head = text.partition("(")[0].strip()
    if head in known:
        known[head] = _builder(head)
    signal: Signal = call_from_text(text, known, kind="signal")()
    return signal


def rule_and_signal(text: str, default: Signal) -> tuple[str, Signal]:
    """Split `rule on signal`; without "on", the signal is the one that the rule was made for, else `default`.

    Raises:
        InputError: As `read_signal`; the rule is not looked at.
    """
    rule, on, signal = (part.strip() for part in text.partition(" on "))
    if on:
        return rule, read_signal(signal)
    known = RULES.get(rule.partition("(")[0].strip())
    return rule, default if known is None or known.signal is None else read_signal(known.signal)
