"""Pretrain encoders and keep their checkpoint series.

Question: what does an encoder look like after 0, 1, 2, 5, ... epochs of pretraining?
Command:  python experiments/pretrain.py --preset demo
Cost:     three encoders, 20 epochs each, about two minutes on two CPU cores.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, a ledger row per epoch, an MLflow run per
          encoder.
"""

import sys

from raytransfer.cli.verbs.pretrain import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
