"""Signals: which of an indicator's scores a decision follows."""

from typing import NamedTuple

from raytransfer.errors import InputError, unknown_name
from raytransfer.models.names import num_levels
from raytransfer.results.curves import Choice
from raytransfer.scheduling.registry import RULES, call_from_text
from raytransfer.transferability.settings import DISTANCES, POOLINGS, RobustnessSettings


class Signal(NamedTuple):
    """Parameters of robustness for both protocols; the defaults are the thesis's.

    Attributes:
        distance: "cosine", "l2" or "pearson".
        margin: Margin of the hinge.
        level: Encoder level: from 1, or negative from the end, -1 being the deepest.
        pooled: Modes in which representations are averaged over space.
    """

    distance: str = "cosine"
    margin: float = 0.5
    level: int = -2
    pooled: tuple[str, ...] = ("frozen",)

    @classmethod
    def of_study(cls, config: RobustnessSettings) -> "Signal":
        """Return what chooses checkpoints by a study's settings."""
        return cls(config.distance, config.margin, config.level, POOLINGS[config.pooled])

    def choice(self, encoder: str, protocol: str) -> Choice:
        """Return the parameters for an encoder in a protocol."""
        level = self.level if self.level < 0 else self.level - num_levels(encoder) - 1
        return Choice(self.distance, self.margin, level, protocol in self.pooled)

    @property
    def pooling(self) -> str:
        """Name of the protocols in which representations are averaged."""
        return next(name for name, protocols in POOLINGS.items() if set(protocols) == set(self.pooled))

    def __str__(self) -> str:
        """Return the text that `read_signal` takes."""
        return f"{self.distance}(margin={self.margin:g}, level={self.level}, pooled={self.pooling})"


def _signal(*, margin: float = 0.5, level: int = -2, pooled: str = "frozen") -> Signal:
    if pooled not in POOLINGS:
        raise unknown_name("pooled", pooled, POOLINGS)
    if level == 0:
        raise InputError("level must be from 1 up or negative from the end, got 0")
    return Signal("", margin, level, POOLINGS[pooled])


def read_signal(text: str) -> Signal:
    """Read a signal such as `l2(margin=1, level=-4, pooled=never)`; what is not given is the thesis's.

    Raises:
        InputError: It reads otherwise, or an unknown distance, argument or pooling.
    """
    build = call_from_text(text, dict.fromkeys(DISTANCES, _signal), kind="signal")
    return build()._replace(distance=text.partition("(")[0].strip())


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
