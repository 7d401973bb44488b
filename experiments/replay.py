"""Replay recorded pretrainings through stopping rules and Ray Tune's schedulers.

Question: would a rule have found a good checkpoint with less pretraining than a fixed number of epochs?
Command:  python experiments/replay.py --published DIR         (the thesis's published tables in DIR)
          python experiments/replay.py --preset demo           (a study that experiments/grid.py has run)
          Add --output DIR for replay.csv and frontier.png.
Cost:     seconds; only reads, runs nothing, starts no Ray.
Result:   a table: mean and worst TIS, the standard error of the mean over configurations, epochs paid where
          each configuration has a pretraining of its own, how far the mean lies over fixed budgets of the
          same mean epochs; then for pretrainings shared by their targets, which go on until the last target
          stops: TIS, epochs per pretraining, time of all workers, makespan.

Rules read name(argument=value, ...), and where they should follow other scores than the study's (--set
robustness.distance, .margin, .level, .pooled) or those they were made for, "rule on signal": for example
'first-peak(patience=2) on l2(margin=1, level=-4, pooled=never)'. Ray's schedulers, unlike rules, compare
pretrainings with each other: they look for the best pretraining. HyperBand's first bracket stops nobody
early, and few pretrainings fill no other.
"""

import sys

from raytransfer.cli.verbs.replay import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
