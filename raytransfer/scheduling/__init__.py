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
from raytransfer.scheduling.settled import Settled
from raytransfer.scheduling.simulation import (
    Event,
    Judge,
    Outcome,
    RecordedPretraining,
    RuleJudge,
    Simulation,
    simulate,
)

__all__ = [
    "RULES",
    "BestOfAll",
    "Decision",
    "Event",
    "FirstPeak",
    "FixedBudget",
    "Judge",
    "Outcome",
    "RecordedPretraining",
    "Replay",
    "RuleJudge",
    "Settled",
    "SignificantFall",
    "Simulation",
    "StoppingRule",
    "call_from_text",
    "replay",
    "restored",
    "rule_factory",
    "simulate",
]
