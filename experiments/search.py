"""Search for training settings with Optuna.

Question: which learning rate, weight decay and strength of augmentation are best, by a score without labels
          (robustness), by the source accuracy, or by the downstream performance?
Command:  python experiments/search.py --preset demo --trials 8
          python experiments/search.py --preset demo --what downstream --trials 8
          python experiments/search.py --preset demo --stop 'first-peak(patience=3)'
Cost:     at most that of the trials' pretrainings or downstream trainings; ASHA stops most of them early. The
          same command goes on where it was interrupted, with more --trials it goes further.
Result:   a table, the best settings first; in the ledger every epoch of the pretrainings and its scores, and
          the finished downstream trials; an MLflow run per trial; Optuna's study, <storage>/search/optuna.db.

Searched are learning rate and weight decay within a factor of ten around the study's own, and the strength of
augmentation from 0 to 1 times the study's. One thing is searched for: the first encoder under the first
scheme, on all targets; or the first model on the first dataset in the first protocol, from the last
checkpoint of its series, with the first seed. The performance (such as Dice) is of the test split: a
search spends it, so that settings found this way must be compared on other data.
"""

import sys

from raytransfer.cli.verbs.search import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
