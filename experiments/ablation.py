"""The ablation: do the thesis's parameters of robustness matter, and are they the best?

Question: which distance, margin, level and pooling choose good checkpoints, by the best score of all
          (offline) and by the first peak (online), and is that better than a fixed budget?
Command:  python experiments/ablation.py --published DIR       (the thesis's published tables in DIR)
          python experiments/ablation.py --preset demo         (a study of one's own)
          Add --output DIR for the tables as CSV: rules.csv, parameters.csv, choices.csv, findings.csv, one
          row per choice, method, dataset and protocol.
Cost:     seconds with --published, without Ray and storage; else what experiments/grid.py costs, and nothing
          where it has run.
Result:   TIS of robustness's choices beside simple ones, a table per parameter, the best and worst of all
          choices, and what these data say about the thesis's four findings; each with standard errors.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
from grid import finish
from grid import run as train
from presets import PRESETS

from raytransfer.cli.command import main
from raytransfer.cli.session import Session
from raytransfer.errors import InputError
from raytransfer.report.tables import ablation_text, baselines_text
from raytransfer.results.curves import curves, incomplete, recorded
from raytransfer.statistics.ablation import choice_rows, parameter_rows
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.selection import rule_rows
from raytransfer.statistics.signals import Signal
from raytransfer.thesis.findings import finding_rows, findings, findings_text


def ablation(found: Sequence[Curve], output: Path | None) -> int:
    """Print the ablation of some curves, and write its tables where asked."""
    if not any(Signal().choice(curve.encoder, curve.protocol) in curve.scores for curve in found):
        raise InputError(f"no configuration has scores for the parameters that are varied: {Signal()}")
    rules, varied, every, claims = (
        rule_rows(found),
        parameter_rows(found),
        choice_rows(found),
        findings(found),
    )
    print(baselines_text(rules), ablation_text(found, varied, every), findings_text(claims), sep="\n\n")
    if output is not None:
        tables = {"rules": rules, "parameters": varied, "choices": every, "findings": finding_rows(claims)}
        for name, rows in tables.items():
            pacsv.write_csv(pa.Table.from_pylist(rows), output / f"{name}.csv")
        print(f"\ntables: {', '.join(f'{output / name}.csv' for name in tables)}")
    return 0


def experiment(session: Session) -> int:
    """Make what is missing, from pretraining to the last trial, and print the ablation of the study."""
    scorings, trials = train(session)
    tables = recorded(session.storage.ledger, scorings, trials)
    for line in incomplete(*tables):
        print(f"left out: {line}", file=sys.stderr)
    if found := curves(*tables):
        ablation(found, session.output)
    return finish(session, scorings, trials)


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment, published=ablation))
