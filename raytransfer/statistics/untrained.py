"""The untrained encoder: no scheme has had a part in it, so one serves all."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

UNTRAINED = 0
"""The epoch of an encoder with its initial weights. No scheme has had a part in it: it serves all."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def scheme_of(scheme: str, epoch: int) -> str | None:
    """Return the scheme that has had a part in a checkpoint; None: it is untrained."""
    return None if epoch == UNTRAINED else scheme


def is_trained_under(scheme: str, epoch: int, schemes: Sequence[str]) -> bool:
    """Return whether a study lists a checkpoint under this scheme; the untrained is under the first."""
    return scheme_of(scheme, epoch) is not None or scheme == schemes[0]


def share_untrained(
    series: Mapping[Key, Mapping[int, Value]], without_scheme: Callable[[Key], Hashable]
) -> dict[Key, dict[int, Value]]:
    """Return series in which the untrained checkpoint of one scheme serves those that have none of their own.

    Args:
        series: Key -> epoch -> anything.
        without_scheme: What a key says besides the scheme: series that agree in it share.
    """
    untrained = {without_scheme(key): of[UNTRAINED] for key, of in series.items() if UNTRAINED in of}
    shared = {key: dict(of) for key, of in series.items()}
    for key, of in shared.items():
        if without_scheme(key) in untrained:
            of.setdefault(UNTRAINED, untrained[without_scheme(key)])
    return shared
