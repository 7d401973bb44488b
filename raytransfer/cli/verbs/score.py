"""Score every checkpoint on the target's training images, by the study's indicators in one pass.

Question: whose representations tell target images apart whatever their colours (thesis, eq. 4.2)?
Command:  raytransfer score --preset demo
Cost:     18 checkpoints, 115 images: half a minute on two CPU cores, after the pretraining it needs.
Result:   a ledger row and an MLflow run per checkpoint and indicator with the scores of every parameter
          choice, and a table of those that choose checkpoints, with standard errors over images. What the
          other choices would have chosen shows raytransfer ablation.
"""

from tabulate import tabulate

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.pipeline.session import Session
from raytransfer.pipeline.steps import make_scores, make_series
from raytransfer.results.scores import read_scores
from raytransfer.results.units import pretraining_units
from raytransfer.transferability.indicators.base import Score


def _cell(score: Score) -> str:
    error = "" if score.standard_error is None else f" ± {score.standard_error:.4f}"
    return f"{score.value:.4f}{error}"


def experiment(session: Session, _: Options) -> int:
    """Pretrain what is missing, score, and print the scores that choose checkpoints."""
    units = {unit.key: unit for unit in make_scores(session, make_series(session))}
    rows = []
    for row in session.storage.ledger.read("score", list(units)).to_pylist():
        chosen = units[row["key"]].chosen_scores(read_scores(row))
        names = [row["dataset"], row["encoder"], row["scheme"], row["epoch"], row["indicator"]]
        rows += [[*names, "" if pooled is None else pooled, _cell(of)] for pooled, of in chosen.items()]
    config = session.study.robustness
    print(tabulate(rows, headers=["dataset", "encoder", "scheme", "epoch", "indicator", "pooled", "score"]))
    which = f"level {config.level}, robustness by {config.distance}, margin {config.margin:g}"
    print(f"scores of {which}; those of all parameter choices are in the ledger")
    return session.finish_all([*pretraining_units(session.study), *units.values()])


main = command.verb_that_computes("score", __doc__, experiment)
