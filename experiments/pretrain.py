"""Pretrain encoders and keep their checkpoint series.

Question: what does an encoder look like after 0, 1, 2, 5, ... epochs of pretraining?
Command:  python experiments/pretrain.py --preset demo
Cost:     three encoders, 20 epochs each, about two minutes on two CPU cores.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, a ledger row per epoch, an MLflow run per
          encoder.
"""

import sys

from presets import PRESETS

from raytransfer.cli import Session, main
from raytransfer.ray_train.pretraining import pretrain
from raytransfer.results import pretraining_units


def run(session: Session) -> dict[str, dict[int, str]]:
    """Make the series that are missing; return encoder -> epoch -> SHA-256 of its weights."""
    units = pretraining_units(session.study)
    pretrain(units, session.storage, session.tracker)
    return {
        unit.encoder: session.storage.series(unit.encoder, session.study.scheme).fingerprints()
        for unit in units
    }


def experiment(session: Session) -> int:
    """Pretrain, and say where the series are."""
    for encoder, series in run(session).items():
        folder = session.storage.series(encoder, session.study.scheme).directory
        print(f"{encoder}: epochs {', '.join(map(str, series))} in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment))
