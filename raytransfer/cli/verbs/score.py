"""Score every checkpoint on the target images, without their labels.

Question: whose representations tell target images apart whatever their colours (thesis, eq. 4.2)?
Command:  raytransfer score --preset demo
Cost:     18 checkpoints, 115 images: half a minute on two CPU cores, after the pretraining it needs.
Result:   a ledger row and an MLflow run per checkpoint with the scores of every parameter choice, and a
          table of those that choose checkpoints, with standard errors over images. What the other choices
          would have chosen shows raytransfer ablation.
"""

from collections.abc import Sequence

from tabulate import tabulate

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.commands import program
from raytransfer.pipeline.session import Session
from raytransfer.pipeline.steps import make_scores, make_series
from raytransfer.presets import PRESETS
from raytransfer.results.units import pretraining_units


def experiment(session: Session, _: Options) -> int:
    """Pretrain what is missing, score, and print the scores that choose checkpoints."""
    units = {unit.key: unit for unit in make_scores(session, make_series(session))}
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


def main(argv: Sequence[str] | None = None, doc: str = str(__doc__)) -> int:
    """Do what the command line says; return the exit code.

    Args:
        argv: The command line; the process's where None.
        doc: What `--help` begins with.
    """
    return command.main(doc, PRESETS, experiment, argv, prog=program("score"))
