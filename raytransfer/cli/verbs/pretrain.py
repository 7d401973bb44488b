"""Pretrain encoders and keep their checkpoint series.

Question: what does an encoder look like after 0, 1, 2, 5, ... epochs of pretraining?
Command:  raytransfer pretrain --preset demo
Cost:     three encoders, 20 epochs each, about two minutes on two CPU cores.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, a ledger row per epoch, an MLflow run per
          encoder.
"""

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.pipeline.session import Session
from raytransfer.pipeline.steps import make_series
from raytransfer.results.units import pretraining_units


def experiment(session: Session, _: Options) -> int:
    """Pretrain, and say where the series are."""
    for (encoder, scheme), series in make_series(session).items():
        folder = session.storage.series(encoder, scheme).directory
        print(f"{encoder} {scheme}: epochs {', '.join(map(str, series)) or 'none'} in {folder}")
    return session.finish_all(pretraining_units(session.study))


main = command.verb_that_computes("pretrain", __doc__, experiment)
