"""The main job: which checkpoint should be transferred?

Question: does the robustness of a checkpoint on the target images tell how well it will segment them?
Command:  python experiments/grid.py --preset demo
          python experiments/grid.py --preset thesis --dry-run    (what the thesis's whole study would cost)
Cost:     18 checkpoints x {fine_tuning, frozen} x 2 seeds = 72 trainings of 8 epochs, and first what they
          need (pretraining, scores): about seven minutes on two CPU cores.
Result:   the tables in README.md, <storage>/answer.png, a ledger row and an MLflow run per trial.
"""

import sys

from raytransfer.cli.verbs.grid import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
