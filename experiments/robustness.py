"""Score every checkpoint on the target images, without their labels.

Question: whose representations tell target images apart whatever their colours (thesis, eq. 4.2)?
Command:  python experiments/robustness.py --preset demo
Cost:     18 checkpoints, 115 images: half a minute on two CPU cores, after the pretraining it needs.
Result:   a ledger row and an MLflow run per checkpoint with the scores of every parameter choice, and a
          table of those that choose checkpoints, with standard errors over images. What the other choices
          would have chosen shows experiments/ablation.py.
"""

import sys

from presets import PRESETS
from pretrain import run as pretrain
from tabulate import tabulate

from raytransfer.cli.command import main
from raytransfer.cli.session import Session
from raytransfer.ray_tune.scoring import score
from raytransfer.results.units import Encoders, ScoringUnit, pretraining_units, scoring_units


def run(session: Session, encoders: Encoders) -> list[ScoringUnit]:
    """Make the scores that are missing; return the scorings of the study."""
    units = scoring_units(session.study, encoders)
    score(units, session.storage, session.tracker)
    return units


def experiment(session: Session) -> int:
    """Pretrain what is missing, score, and print the scores that choose checkpoints."""
    units = {unit.key: unit for unit in run(session, pretrain(session))}
    rows = []
    for row in session.storage.ledger.read("robustness", list(units)).to_pylist():
        chosen = units[row["key"]].chosen_scores(row["scores"])
        cells = [f"{s['score']:.4f} ± {s['standard_error']:.4f}" for s in (chosen[False], chosen[True])]
        rows.append([row["dataset"], row["encoder"], row["scheme"], row["epoch"], *cells])
    config = session.study.robustness
    print(tabulate(rows, headers=["dataset", "encoder", "scheme", "epoch", "robustness", "pooled"]))
    which = f"{config.distance}, margin {config.margin:g}, level {config.level}"
    print(f"scores of {which}; those of all parameter choices are in the ledger")
    return session.finish_all([*pretraining_units(session.study), *units.values()])


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment))
