"""Pretrain only as long as the robustness on the targets says so.

Question: how many epochs of pretraining does a live stopping rule save, and what checkpoint does it take?
Command:  python experiments/early_stop.py --preset demo
          python experiments/early_stop.py --preset demo --rule 'first-peak(patience=3)' --scheduler asha
Cost:     at most that of experiments/pretrain.py and of a scoring per epoch and target; the same command goes
          on where it was interrupted, and another rule on the same storage path goes on from what is there.
Result:   a table: per pretraining and target the epoch of the decision, the epochs saved and the checkpoint
          selected, with its TIS where experiments/grid.py has trained it; the checkpoint series, with the
          selected encoders in it; in the ledger every epoch and its scores; an MLflow run per pretraining.

Each pretraining goes on until the rule has stopped on its last target. Workers train on until the decision
reaches them, seconds later: "trained" counts what was finished by then, also by earlier commands.
"""

import sys

from raytransfer.cli.verbs.early_stop import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
