"""The sections of what choosing gives: the answer, indicators, stopping, parameters."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.report.ablation import METHODS, Method, choice_rows, parameter_rows
from raytransfer.report.advice import Answers, Standing, answer_rows, overall_rows
from raytransfer.report.baselines import accuracy_rows, rule_rows
from raytransfer.report.cells import Row
from raytransfer.report.choosing import ALL
from raytransfer.report.figures import draw_answers
from raytransfer.report.findings import DECISIVE, TOLERANCE, finding_rows, findings
from raytransfer.report.frontier import draw_frontier
from raytransfer.report.gaps import unanswered
from raytransfer.report.page import Cell, Figure, Section, Table, missing, number, slug, words
from raytransfer.report.replay import Rating, rating_rows
from raytransfer.report.study_figures import draw_chosen
from raytransfer.report.summary import Answer
from raytransfer.report.thesis import side_by_side, why_they_differ
from raytransfer.results.curves import Curve
from raytransfer.results.signals import Signal
from raytransfer.scheduling.plateau import Plateau

ERROR_OVER = "The small numbers are the standard error over configurations and the worst of them"


def answer_section(answers: Answers, rows: Sequence[Row]) -> Section:
    """Return the numbers behind the words at the top.

    Args:
        answers: Of the curves that are complete.
        rows: Of `performance`; those without an answer are shown as missing.
    """
    best = answers.overall[0]
    overall = Table(
        name="ways",
        title="Ways to choose a checkpoint",
        note="Mean TIS (Dice of the chosen checkpoint / Dice of the best one) over all configurations, its "
        "interval and that of the difference to the best way under resampling of the seeds (95 %), worst "
        "configuration, and epochs of pretraining paid for.",
        headers=("choice", "mean TIS", "worst", "epochs paid", "behind the best way"),
        rows=[
            [
                words(of.name),
                number(of.mean, 4, _between(of.range), strong=of is best),
                number(of.worst),
                number(of.paid, 1),
                words("best")
                if of is best
                else number(of.mean - best.mean, 4, "not told apart" if of.as_good else _between(of.behind)),
            ]
            for of in answers.overall
        ],
        data=overall_rows(answers),
    )
    names = answers.ways
    details = Table(
        name="answer_by_configuration",
        title="Every configuration",
        note="The best checkpoint by mean Dice, the share of resamples of the seeds in which it is the best "
        "of its scheme, the shortest pretraining not told apart from it (best in at least 2.5 % of "
        "resamples), and what each way of choosing takes: TIS, then its epoch and 95 % interval.",
        headers=("dataset", "model", "protocol", "scheme", "best", "sure", "shortest equal", *names),
        rows=[
            [
                *(words(getattr(of.curve, name)) for name in ("dataset", "model", "protocol", "scheme")),
                Cell(text=f"epoch {of.best}", note=of.dice(of.best), value=of.best),
                words("one seed") if of.seeds == 1 else number(100 * of.best_share, 0),
                words(of.shortest_equal),
                *(_choice(of, name) for name in names),
            ]
            for of in answers.standings
        ]
        + [
            [*map(words, (dataset, model, protocol, scheme)), *[missing()] * (3 + len(names))]
            for model, dataset, scheme, protocol in unanswered(rows, answers)
        ],
        data=answer_rows(answers),
    )
    return Section(
        name="answer",
        title="The answer",
        words=(
            "How sure: every checkpoint’s downstream trainings are drawn again with replacement, "
            "4,000 times, and everything is computed again. That says what other seeds might give, not what "
            f"other data would; with {answers.seeds} seed{'' if answers.seeds == 1 else 's'} it makes "
            f"intervals about {100 * (1 - math.sqrt((answers.seeds - 1) / answers.seeds)):.0f} % too narrow. "
            "The best of many measured checkpoints also looks better than it is, and the costs of the others "
            "larger.",
        ),
        items=(overall, details),
    )


def _between(of: tuple[float, float]) -> str:
    return f"{of[0]:.4f} to {of[1]:.4f}".replace("-", "−")


def _choice(of: Standing, name: str) -> Cell:
    choice = of.choices.get(name)
    if choice is None:
        return Cell(text="–")
    sure = "" if of.seeds == 1 else f", {_between(choice.range)}"
    return number(choice.tis, 4, f"epoch {choice.epoch}{sure}", strong=choice.epoch == of.best)


Expected = Mapping[tuple[str, str], int]
"""(dataset or model, protocol), ("all", "all") last -> configurations of a complete study."""


def _expected(rows: Sequence[Row], by: str) -> Expected:
    """Return the groups of configurations that means are taken over, the whole last."""
    position = ("model", "dataset").index(by)
    keys = sorted((row.key[position], list(PROTOCOLS).index(row.key[3])) for row in rows)
    found = Counter((name, list(PROTOCOLS)[protocol]) for name, protocol in keys)
    return {**found, (ALL, ALL): len(rows)}


def _statistics(row: Mapping[str, Any] | None, expected: int) -> Cell:
    """Return the cell of a mean over configurations that a complete study has so many of."""
    if row is None:
        return missing()
    error = "" if math.isnan(row["standard_error"]) else f"± {row['standard_error']:.4f}, "
    count = row["configurations"]
    part = f", {count} of {expected}" if count < expected else ""
    return number(row["mean"], 4, f"{error}worst {row['worst']:.4f}{part}")


def _group_name(key: tuple[str, str]) -> str:
    return "all" if key[0] == ALL else f"{key[0]}, {key[1]}"


def _indicator_table(curves: Sequence[Curve], signal: Signal, expected: Expected, by: str) -> Table:
    data = [*rule_rows(curves, signal, by=by), *accuracy_rows(curves, by=by)]
    lines: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in data:
        lines.setdefault(row["rule"], {})[row[by], row["protocol"]] = row
    body = [
        [
            words(rule),
            *(_statistics(of.get(key), count) for key, count in expected.items()),
            number(of[ALL, ALL]["epochs"], 1),
        ]
        for rule, of in lines.items()
    ]
    return Table(
        name=f"indicators_by_{by}",
        title=f"TIS of indicators and baselines by {by}",
        note=f"Mean over configurations. {ERROR_OVER}. Epochs: of pretraining, paid for on average over all. "
        "(Thesis, Table 4.1)",
        headers=("choice", *map(_group_name, expected), "epochs paid"),
        rows=body,
        data=data,
    )


def indicator_section(
    curves: Sequence[Curve], rows: Sequence[Row], answers: Answers, signal: Signal, *, published: bool
) -> Section:
    """Return the thesis's Table 4.1 and Figures 4.1 and 4.2.

    Args:
        curves: Those that are complete.
        rows: Of `performance`, complete or not.
        answers: Of the curves.
        signal: The scores that choose.
        published: Whether the curves are the thesis's, and its own numbers are shown beside them.
    """
    by_dataset, by_model = (
        _indicator_table(curves, signal, _expected(rows, by), by) for by in ("dataset", "model")
    )
    items: list[Table | Figure] = [by_dataset, by_model]
    compared = side_by_side(by_dataset.data) if published else []
    if compared:
        items.insert(1, _thesis_table(curves, compared))
    items += [_scores_figure(curves, signal, dataset) for dataset in answers.datasets]
    items.append(
        Figure(
            name="chosen_epochs",
            title="Chosen epochs",
            note="One line per configuration. The bar runs from the shortest pretraining that is not told "
            "apart from the best to the best. (Thesis, Figure 4.2)",
            draw=lambda path: draw_chosen(path, answers),
            data=[
                {
                    "dataset": of.curve.dataset, "model": of.curve.model, "protocol": of.curve.protocol,
                    "scheme": of.curve.scheme, "best": of.best, "shortest_equal": of.shortest_equal,
                    **{
                        name: of.choices[name].epoch if name in of.choices else None
                        for name in answers.ways
                    },
                }
                for of in answers.standings
            ],
        )
    )  # fmt: skip
    return Section(
        name="indicators",
        title="What indicators choose",
        words=(
            f"Robustness here is {signal}: distance, margin of the hinge, encoder level (from the end), and "
            "the protocols in which representations are averaged over space. Higher is better.",
        ),
        items=items,
    )


def _thesis_table(curves: Sequence[Curve], compared: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        name="imagenet_accuracy",
        title="“ImageNet accuracy”, as printed and as recomputed",
        note=why_they_differ(curves),
        headers=("dataset", "protocol", "thesis, Table 4.1", "highest accuracy", "last checkpoint"),
        rows=[
            [
                words(row["dataset"]), words(row["protocol"]), number(row["thesis_imagenet_accuracy"], 3),
                number(row["recomputed_best_source_accuracy"]), number(row["recomputed_last_checkpoint"]),
            ]
            for row in compared
        ],
        data=compared,
    )  # fmt: skip


def _scores_figure(curves: Sequence[Curve], signal: Signal, dataset: str) -> Figure:
    of = [
        Answer(curve=curve, signal=signal)
        for curve in sorted(
            curves, key=lambda c: (c.model, list(PROTOCOLS).index(c.protocol), c.scheme != "simple")
        )
        if curve.dataset == dataset and signal.choice(curve.encoder, curve.protocol) in curve.scores
    ]
    data = [
        {
            "dataset": dataset,
            "model": a.curve.model,
            "scheme": a.curve.scheme,
            "protocol": a.curve.protocol,
            "epoch": epoch,
            "dice": dice,
            "standard_deviation": spread,
            "robustness": score,
            "standard_error": error,
            "chosen": epoch == a.chosen,
        }
        for a in of
        for epoch, dice, spread, score, error in zip(
            a.curve.epochs,
            a.curve.performance,
            a.curve.spread,
            a.curve.scores[a.choice],
            a.curve.standard_errors[a.choice],
            strict=True,
        )
    ]
    return Figure(
        name=f"scores_{slug(dataset)}",
        title=f"Performance and robustness against pretraining length, {dataset}",
        note="Blue: Dice, bars are the standard deviation over seeds. Orange: robustness of the same "
        "checkpoint, bars are the standard error over images where recorded. The band marks the checkpoint "
        "with the highest score, epoch 0 left out. (Thesis, Figure 4.1)",
        draw=lambda path: draw_answers(path, of),
        data=data,
    )


PLATEAU_NOTE = (
    "Beware: “plateau” on {signal} was found on the very tables that the thesis published, so its position "
    "among the rules on those is flattering. Chosen on one of their two data sets and judged on the other, "
    "the gain over fixed budgets of the same epochs is +0.0052 (chosen on ACDC, judged on COVID-QU-Ex) and "
    "+0.0047 (the other way round)."
)


def stopping_section(ratings: Sequence[Rating], line: Sequence[Rating], unit: str) -> Section:
    """Return the stopping frontier and its table."""
    data = rating_rows([*line, *ratings], line, unit)
    plateau = any(rating.rule.startswith(Plateau.name) for rating in ratings)
    places = {"mean_epochs": 1, "shared_mean_epochs": 1, f"worker_{unit}s": 1, f"makespan_{unit}s": 1}
    if unit == "hour":
        places |= {"worker_hours": 3, "makespan_hours": 3}
    return Section(
        name="stopping",
        title="Stopping pretraining early",
        words=(
            "What rules would have cost and reached, replayed on the recorded curves. A rule is worth its "
            "trouble where it lies above the line of fixed budgets, which need no scores.",
            *([PLATEAU_NOTE.format(signal=Plateau.signal)] if plateau else []),
        ),
        items=(
            Figure(
                name="frontier",
                title="The stopping frontier",
                note="Bars: standard error over configurations. Each configuration on its own.",
                draw=lambda path: draw_frontier(path, ratings, line),
                data=data,
            ),
            Table(
                name="stopping_rules",
                title="Stopping rules",
                note="Over fixed: mean TIS minus that of fixed budgets of the same mean epochs. Shared: a "
                "pretraining goes on until the last of its targets stops.",
                headers=(
                    "rule", "mean TIS", "worst", "s.e.", "epochs", "over fixed", "shared: TIS",
                    "shared: epochs", f"worker-{unit}s", f"makespan ({unit}s)",
                ),
                rows=[
                    [
                        words(value) if isinstance(value, str) else number(value, places.get(name, 4))
                        for name, value in row.items()
                    ]
                    for row in data
                ],
                data=data,
            ),
        ),
    )  # fmt: skip


def _methods_table(
    data: Sequence[Mapping[str, Any]], names: Sequence[str], expected: Expected
) -> tuple[list[str], list[list[Cell]]]:
    """Lay ablation rows out: a line per parameter setting, a column per method and group."""
    columns = [(method, (ALL, ALL)) for method in METHODS] + [
        (method, key) for method in METHODS[:2] for key in expected if key[0] != ALL
    ]
    lines: dict[tuple[Any, ...], dict[tuple[Method, tuple[str, str]], Mapping[str, Any]]] = {}
    for row in data:
        method = Method(row["method"], row["grace_period"])
        setting = tuple(row[name] for name in names)
        lines.setdefault(setting, {})[method, (row["dataset"], row["protocol"])] = row
    body = []
    for setting, of in lines.items():
        shown = ["yes" if v is True else "no" if v is False else v for v in setting]
        count = of[METHODS[0], (ALL, ALL)]["configurations"]
        cells = (_statistics(of.get(column), 0) for column in columns)
        body.append([*map(words, shown), words(count), *cells])
    headers = [str(method) if key[0] == ALL else f"{method}: {_group_name(key)}" for method, key in columns]
    return [*names, "n", *headers], body


def parameter_section(curves: Sequence[Curve], rows: Sequence[Row]) -> Section:
    """Return the thesis's Tables 4.2 to 4.4 and its findings.

    Args:
        curves: Those that are complete.
        rows: Of `performance`, complete or not.
    """
    varied, every = parameter_rows(curves), choice_rows(curves)
    claims = findings(curves)
    items: list[Table | Figure] = []
    for name, title, data, names, note in (
        (
            "parameters", "One parameter varied", varied, ("parameter", "value"),
            "The others are cosine, margin 0.5, level −2, pooled for frozen.",
        ),
        (
            "choices", "Every parameter choice", every, ("distance", "margin", "level", "pooled"),
            "The best of so many looks better than it is.",
        ),
    ):  # fmt: skip
        headers, body = _methods_table(data, names, _expected(rows, "dataset"))
        items.append(
            Table(
                name=name, title=title, headers=headers, rows=body, data=data,
                note=f"{note} TIS by the best score of all (offline) and by the first peak (online), mean "
                f"over n configurations. {ERROR_OVER}. Levels count from the deepest, −1. (Thesis, Tables "
                "4.2 to 4.4)",
            )
        )  # fmt: skip
    if varied:
        items.append(
            Table(
                name="findings",
                title="The thesis’s findings on the parameters",
                note=f"Mean paired difference in TIS ± standard error over configurations. Better: by more "
                f"than {DECISIVE:g} standard errors; equally good: within {TOLERANCE:g}, {DECISIVE:g} "
                "standard errors included.",
                headers=("finding", "method", "verdict", "comparisons"),
                rows=[
                    [
                        words(f"{of.number}. {of.claim}"), words(method), words(of.verdict(method)),
                        words("\n".join(
                            f"{c.name}: {c.difference:+.4f}"
                            + ("" if math.isnan(c.standard_error) else f" ± {c.standard_error:.4f}")
                            + f" (n={c.configurations})"
                            for c in comparisons
                            if c.configurations
                        ) or "no scores to compare"),
                    ]
                    for of in claims
                    for method, comparisons in of.comparisons.items()
                ],
                data=finding_rows(claims),
            )
        )  # fmt: skip
    return Section(name="parameters_of_robustness", title="Parameters of robustness", words=(), items=items)
