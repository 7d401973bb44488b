"""Indicators by name, and from the text of a setting; nothing heavy is imported for a name."""

import dataclasses
from typing import Any

from raytransfer.registry import Registry
from raytransfer.scheduling.registry import call_from_text

INDICATORS: Registry[Any] = Registry(
    "indicator",
    robustness="raytransfer.transferability.indicators.robustness:Robustness",
    knn="raytransfer.transferability.indicators.knn:NearestNeighbours",
    h_score="raytransfer.transferability.indicators.h_score:HScore",
)


def indicator_name(text: str) -> str:
    """Return the name in `name` or `name(option=value, ...)`."""
    return text.partition("(")[0].strip()


def read_indicator(text: str, settings: Any = None) -> Any:
    """Return the indicator that a text means, for example `knn(k=10)`.

    Args:
        text: `name` or `name(option=value, ...)`.
        settings: The settings of that name in a study, if it has some: options of the same name are taken
            from there where the text does not give them.

    Raises:
        InputError: It reads otherwise, an unknown name or option (with the nearest valid one), or a value
            that the indicator refuses.
    """
    name = indicator_name(text)
    INDICATORS.check(name)
    strategy = INDICATORS[name]
    build = call_from_text(text, {name: strategy}, kind="indicator")
    left_open = {field.name for field in dataclasses.fields(strategy)} - build.keywords.keys()
    return build(**{field: getattr(settings, field) for field in left_open if hasattr(settings, field)})
