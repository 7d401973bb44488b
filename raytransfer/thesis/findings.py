"""The thesis's four findings on the parameters of robustness, and what other data say about them.

One parameter is varied at a time, the others being the thesis's (`Signal`), under the offline and the online
method, epoch 0 left out as in the thesis. Differences in TIS are paired: taken within each configuration that
has both, then averaged, with the standard error over configurations. When a finding holds was fixed before
the ablation was computed for the first time:

- "A is better than B" holds where the mean difference is larger than `DECISIVE` standard errors, does not
  hold where it is below minus that, and is not decided in between.
- "A and B are equally good" holds where the interval of `DECISIVE` standard errors around the mean difference
  is within `TOLERANCE`, does not hold where it is not and excludes 0, and is not decided otherwise.
- A finding made of several comparisons holds where all do, and does not hold where one does not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from raytransfer.evaluation.settings import DEFAULT_PROTOCOLS
from raytransfer.scheduling.rules import BestOfAll, FirstPeak
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.selection import ALL, recorded_values, select_all, standard_error
from raytransfer.statistics.signals import Signal

DECISIVE = 2.0
"""Standard errors that a difference must exceed to count."""
TOLERANCE = 0.01
"""Difference in TIS that does not matter: one percent of the best Dice."""

METHODS = {"offline": BestOfAll, "online": FirstPeak}


class Comparison(NamedTuple):
    """Two settings compared within the configurations that have both.

    Attributes:
        name: What is compared with what.
        difference: Mean of TIS of the first - TIS of the second; NaN for no configuration.
        standard_error: Of that mean; NaN for fewer than two.
        configurations: How many have both.
    """

    name: str
    difference: float
    standard_error: float
    configurations: int

    @property
    def better(self) -> bool | None:
        """Whether the first is better: True, False (worse), None (not decided)."""
        if abs(self.difference) > DECISIVE * self.standard_error:
            return self.difference > 0
        return None

    @property
    def equal(self) -> bool | None:
        """Whether both are equally good: True, False, None (not decided)."""
        if abs(self.difference) + DECISIVE * self.standard_error <= TOLERANCE:
            return True
        return None if self.better is None else False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A finding of the thesis, and what decides it.

    Attributes:
        number: Its number, from 1.
        claim: What it says.
        comparisons: Method -> the comparisons that decide.
        claims_equality: Whether it claims that the compared are equally good, else that the first is better.
    """

    number: int
    claim: str
    comparisons: Mapping[str, Sequence[Comparison]]
    claims_equality: bool = False

    def verdict(self, method: str) -> str:
        """Return "holds", "does not hold" or "not decided by these data"."""
        each = [c.equal if self.claims_equality else c.better for c in self.comparisons[method]]
        if False in each:
            return "does not hold"
        return "holds" if each and None not in each else "not decided by these data"

    def __str__(self) -> str:
        parts = []
        for method, comparisons in self.comparisons.items():
            numbers = ", ".join(
                f"{c.name} {c.difference:+.4f} ± {c.standard_error:.4f} (n={c.configurations})"
                for c in comparisons
                if c.configurations
            )
            parts.append(f"{method} {self.verdict(method)}: {numbers or 'no scores to compare'}")
        return f"({self.number}) {self.claim}: {'; '.join(parts)}."


def _compare(
    curves: Sequence[Curve], method: str, first: Signal, second: Signal, name: str, protocol: str = ALL
) -> Comparison:
    rule = METHODS[method]
    differences = select_all(curves, rule, first).tis - select_all(curves, rule, second).tis
    both = np.isfinite(differences) & np.array([protocol in (ALL, curve.protocol) for curve in curves])
    paired = differences[both]
    mean = float(paired.mean()) if len(paired) else math.nan
    return Comparison(name, mean, standard_error(paired), len(paired))


def _against_the_others(curves: Sequence[Curve], method: str, parameter: str) -> list[Comparison]:
    thesis = Signal()
    best = thesis[parameter]
    return [
        _compare(curves, method, thesis, thesis.varied(**{parameter: value}), f"{best} minus {value}")
        for value in recorded_values(curves, parameter)
        if value != best
    ]


def _among_margins(curves: Sequence[Curve], method: str) -> list[Comparison]:
    thesis = Signal()
    margins = [margin for margin in recorded_values(curves, "margin") if margin <= thesis["margin"]]
    return [
        _compare(
            curves,
            method,
            thesis.varied(margin=larger),
            thesis.varied(margin=smaller),
            f"{larger:g} minus {smaller:g}",
        )
        for larger, smaller in combinations(reversed(margins), 2)
    ]


def _between_poolings(curves: Sequence[Curve], method: str) -> list[Comparison]:
    pooled, not_pooled = Signal(pooled=DEFAULT_PROTOCOLS), Signal(pooled=())
    return [
        _compare(curves, method, pooled, not_pooled, "frozen, pooled minus not", "frozen"),
        _compare(curves, method, not_pooled, pooled, "full, not minus pooled", "fine_tuning"),
    ]


def findings(curves: Sequence[Curve]) -> list[Finding]:
    """Return what the curves say about the thesis's four findings.

    Args:
        curves: The configurations, at least one.
    """
    return [
        Finding(
            number=1,
            claim="cosine is the best distance",
            comparisons={method: _against_the_others(curves, method, "distance") for method in METHODS},
        ),
        Finding(
            number=2,
            claim="the margin is indifferent up to 0.5",
            comparisons={method: _among_margins(curves, method) for method in METHODS},
            claims_equality=True,
        ),
        Finding(
            number=3,
            claim="the second to last level is the best",
            comparisons={method: _against_the_others(curves, method, "level") for method in METHODS},
        ),
        Finding(
            number=4,
            claim="pooled is better for frozen, not pooled for full training",
            comparisons={method: _between_poolings(curves, method) for method in METHODS},
        ),
    ]


def finding_rows(claims: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return one row per comparison behind the findings."""
    return [
        {
            "finding": finding.number,
            "claim": finding.claim,
            "method": method,
            "verdict": finding.verdict(method),
            "comparison": comparison.name,
            "difference": comparison.difference,
            "standard_error": comparison.standard_error,
            "configurations": comparison.configurations,
        }
        for finding in claims
        for method, comparisons in finding.comparisons.items()
        for comparison in comparisons
    ]


def findings_text(claims: Sequence[Finding]) -> str:
    """Return the findings as text, a sentence each, and how to read them."""
    return "\n".join(
        [
            "The thesis's findings on the parameters of robustness, epoch 0 left out: mean paired difference",
            "in TIS ± standard error over n configurations, taken as independent. Better: by more than "
            f"{DECISIVE:g} standard",
            f"errors; indifferent: within {TOLERANCE:g}, {DECISIVE:g} standard errors included.",
            *map(str, claims),
        ]
    )
