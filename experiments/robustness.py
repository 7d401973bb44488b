"""Score every checkpoint on the target's training images, by the study's indicators in one pass.

Question: whose representations tell target images apart whatever their colours (thesis, eq. 4.2)?
Command:  python experiments/robustness.py --preset demo
Cost:     18 checkpoints, 115 images: half a minute on two CPU cores, after the pretraining it needs.
Result:   a ledger row and an MLflow run per checkpoint and indicator with the scores of every parameter
          choice, and a table of those that choose checkpoints, with standard errors over images. What the
          other choices would have chosen shows experiments/ablation.py.
"""

import sys

from raytransfer.cli.verbs.score import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
