"""The ablation: do the thesis's parameters of robustness matter, and are they the best?

Question: which distance, margin, level and pooling choose good checkpoints, by the best score of all
          (offline) and by the first peak (online), and is that better than a fixed budget?
Command:  raytransfer ablation --published DIR       (the thesis's published tables in DIR)
          raytransfer ablation --preset demo         (a study of one's own)
          Add --output DIR for the tables as CSV: rules.csv, parameters.csv, choices.csv, findings.csv, one
          row per choice, method, dataset and protocol.
Cost:     seconds with --published, without Ray and storage; else what raytransfer grid costs, and nothing
          where it has run.
Result:   TIS of robustness's choices beside simple ones, a table per parameter, the best and worst of all
          choices, and what these data say about the thesis's four findings; each with standard errors.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.pipeline.session import Session
from raytransfer.pipeline.steps import finish_study, make_trials
from raytransfer.results.curves import curves, incomplete, recorded
from raytransfer.statistics.curves import Curve


def ablation(found: Sequence[Curve], output: Path | None) -> int:
    """Print the ablation of some curves, and write its tables where asked."""
    from raytransfer.pipeline.reporting import print_ablation  # with what draws and computes

    print_ablation(found, output)
    return 0


def experiment(session: Session, options: Options) -> int:
    """Make what is missing, from pretraining to the last trial, and print the ablation of the study."""
    scorings, trials = make_trials(session)
    tables = recorded(session.storage.ledger, scorings, trials)
    for line in incomplete(*tables):
        print(f"left out: {line}", file=sys.stderr)
    if found := curves(*tables):
        ablation(found, options.output)
    return finish_study(session, scorings, trials)


main = command.verb_that_computes("ablation", __doc__, experiment, published=ablation)
