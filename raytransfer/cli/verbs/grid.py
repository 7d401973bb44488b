"""The main job: which checkpoint should be transferred?

Question: does the robustness of a checkpoint on the target images tell how well it will segment them?
Command:  raytransfer grid --preset demo
          raytransfer grid --preset thesis --dry-run    (what the thesis's whole study would cost)
Cost:     18 checkpoints x {fine_tuning, frozen} x 2 seeds = 72 trainings of 8 epochs, and first what they
          need (pretraining, scores): about seven minutes on two CPU cores.
Result:   the tables in README.md, <storage>/answer.png, a ledger row and an MLflow run per trial.
"""

from raytransfer.cli import command
from raytransfer.cli.command import Options
from raytransfer.pipeline.planning import plan
from raytransfer.pipeline.session import Session
from raytransfer.pipeline.steps import finish_study, make_trials
from raytransfer.results.curves import curves, recorded
from raytransfer.statistics.signals import Signal


def experiment(session: Session, _: Options) -> int:
    """Make what is missing and print the answer."""
    from raytransfer.report.figures import draw_scores  # with what draws and computes
    from raytransfer.report.tables import answer_text
    from raytransfer.statistics.answer import recommend

    scorings, trials = make_trials(session)
    storage = session.storage
    complete = curves(*recorded(storage.ledger, scorings, trials))
    answer = recommend(complete, Signal.of_study(session.study.robustness))
    if answer.summaries:
        draw_scores(storage.root / "answer.png", answer.of(complete))
        print(f"\n{answer_text(answer, complete)}\n\nfigure: {storage.root / 'answer.png'}")
    return finish_study(session, scorings, trials)


main = command.verb_that_computes("grid", __doc__, experiment, plan=plan)
