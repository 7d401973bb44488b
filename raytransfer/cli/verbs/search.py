"""Search for training settings with Optuna.

Question: which learning rate, weight decay and strength of augmentation are best, by a score without labels
          (robustness), by the source accuracy, or by the downstream performance?
Command:  raytransfer search --preset demo --trials 8
          raytransfer search --preset demo --what downstream --trials 8
          raytransfer search --preset demo --stop 'first-peak(patience=3)'
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

import argparse

from tabulate import tabulate

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.cli.options import filled, read_by, whole_number
from raytransfer.pipeline.searching import OBJECTIVES, OF, Search, check_search, read_stop, search_settings
from raytransfer.pipeline.session import Session
from raytransfer.results.storage import Storage
from raytransfer.scheduling.registry import RULES
from raytransfer.study import Study

MOST_TRIALS = 100_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a search can be asked."""
    add = parser.add_argument
    add("--what", choices=OF, default="pretraining", help="whose settings (default: pretraining)")
    add(
        "--objective",
        choices=OBJECTIVES,
        help="of a pretraining robustness (default) or accuracy on the source; of a downstream "
        "trial performance",
    )
    add(
        "--trials",
        type=whole_number(1, MOST_TRIALS),
        default=8,
        metavar="N",
        help="settings to try, earlier ones included (default: 8)",
    )
    add(
        "--stop",
        metavar="TEXT",
        type=read_by(read_stop),
        default="asha",
        help=f"what stops trials: 'asha(grace_period=2)' (default: asha) or a rule; {', '.join(RULES)}",
    )
    add(
        "--optuna-storage",
        metavar="URL",
        type=read_by(filled),
        help="database of Optuna's study (default: <storage>/search/optuna.db)",
    )


def _asked(options: Options) -> Search:
    return Search(
        what=options.what,
        objective=options.objective or OF[options.what][0],
        trials=options.trials,
        stop=options.stop,
        database=options.optuna_storage,
    )


def check(study: Study, storage: Storage, options: Options) -> None:
    """Refuse what no trial could be found, stopped or written down by."""
    check_search(study, storage, _asked(options))


def experiment(session: Session, options: Options) -> int:
    """Search, and print what was found."""
    asked = _asked(options)
    base, epochs, found = search_settings(session, asked)
    rows = [
        [
            "failed" if of.value is None else f"{of.value:.4f}",
            *(f"{of.settings[key]:.3g}" for key in ("learning_rate", "weight_decay", "augmentation")),
            f"{of.epochs} of {epochs}",
            of.key,
        ]
        for of in found
    ]
    headers = [asked.objective, "learning rate", "weight decay", "augmentation", "epochs", "key"]
    print(tabulate(rows, headers=headers, disable_numparse=True))
    print(f"{asked.what} {base.name}; {asked.objective} is that of a trial's last epoch")
    return 0


main = command.verb_that_computes("search", __doc__, experiment, add_options=add_options, check=check)
