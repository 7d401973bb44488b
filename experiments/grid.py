"""The main job: which checkpoint should be transferred?

Question: does the robustness of a checkpoint on the target images tell how well it will segment them?
Command:  python experiments/grid.py --preset demo
Cost:     18 checkpoints x {full, decoder only} x 2 seeds = 72 trainings of 8 epochs, and first what they
          need (pretraining, scores): about six minutes on two CPU cores.
Result:   the tables in README.md, <storage>/answer.png, a ledger row and an MLflow run per trial.
"""

import sys

from presets import PRESETS
from pretrain import run as pretrain
from robustness import run as score

from raytransfer.cli import Session, main
from raytransfer.config import InputError
from raytransfer.ray_tune.grid import train_grid
from raytransfer.report import answers, draw_answers, summary
from raytransfer.results import configurations, downstream_units


def experiment(session: Session) -> int:
    """Make what is missing, from pretraining to the last trial, and print the answer."""
    storage, tracker = session.storage, session.tracker
    encoders = pretrain(session)
    scorings = score(session, encoders)
    wanted = list(configurations(session.study))
    trials = downstream_units(session.study, wanted, encoders)
    if not trials:
        raise InputError("no trial can run: no checkpoint of the study is there, see what is missing above")

    failed = train_grid(trials, storage, tracker)
    found = answers(storage.ledger, scorings, trials)
    if found:
        draw_answers(storage.root / "answer.png", found)
        print(f"\n{summary(found)}\n\nfigure: {storage.root / 'answer.png'}")
    command, link = tracker.ui_hint()
    print(f"runs:   {command + ', then open ' if command else ''}{link}")
    for trial in failed:
        print(f"failed: {trial.name}: {trial.reason} ({trial.details})", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(__doc__, PRESETS, experiment))
