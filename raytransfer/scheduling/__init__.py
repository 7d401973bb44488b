"""Stopping rules and the replay of recorded curves; numbers only."""

from raytransfer.scheduling.replay import Replay, replay
from raytransfer.scheduling.rules import BestOfAll, Decision, FirstPeak, FixedBudget, StoppingRule

__all__ = ["BestOfAll", "Decision", "FirstPeak", "FixedBudget", "Replay", "StoppingRule", "replay"]
