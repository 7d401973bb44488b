"""Pretrain encoders and keep their checkpoint series.

Question: what does an encoder look like after 0, 1, 2, 5, ... epochs of pretraining?
Command:  python experiments/pretrain.py --preset demo
Cost:     three encoders, 20 epochs each, about two minutes on two CPU cores.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, a ledger row per epoch, an MLflow run per
          encoder.
"""

import sys

from presets import PRESETS

from raytransfer.cli.command import main
from raytransfer.cli.session import Session
from raytransfer.data.registry import source_problem
from raytransfer.ray_train.pretraining import is_imported, pretrain, series_problem
from raytransfer.results.units import Encoders, pretraining_units


def run(session: Session) -> Encoders:
    """Make the series that are missing, or name them where their source data are not here."""
    units, storage = pretraining_units(session.study), session.storage
    problem = source_problem(session.study.source)
    if problem is None:
        pretrain(units, storage, session.tracker)
    for unit in units:
        if (lacking := series_problem(unit, storage)) is not None:
            because = "an imported series" if is_imported(unit, storage) else problem or "see what failed"
            print(f"missing: {lacking} ({because})", file=sys.stderr)
    return storage.catalog.encoders(units)


def experiment(session: Session) -> int:
    """Pretrain, and say where the series are."""
    for (encoder, scheme), series in run(session).items():
        folder = session.storage.series(encoder, scheme).directory
        print(f"{encoder} {scheme}: epochs {', '.join(map(str, series)) or 'none'} in {folder}")
    return session.finish_all(pretraining_units(session.study))


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment))
