"""Stopping rules and the replay of recorded curves; numbers only."""

from raytransfer.scheduling.registry import RULES, call_from_text, restored, rule_factory
from raytransfer.scheduling.replay import Replay, replay
from raytransfer.scheduling.rules import (
    BestOfAll,
    Decision,
    FirstPeak,
    FixedBudget,
    SignificantFall,
    StoppingRule,
)

__all__ = [
    "RULES",
    "BestOfAll",
    "Decision",
    "FirstPeak",
    "FixedBudget",
    "Replay",
    "SignificantFall",
    "StoppingRule",
    "call_from_text",
    "replay",
    "restored",
    "rule_factory",
]
