"""Stopping rules and the replay of recorded curves; numbers only."""
