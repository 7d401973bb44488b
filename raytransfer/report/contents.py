"""What the report shows, section by section."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raytransfer.config import MODES
from raytransfer.report.ablation import METHODS, Method, choice_rows, parameter_rows
from raytransfer.report.advice import Answers, Standing, answer_rows, overall_rows
from raytransfer.report.agreement import agreement_rows
from raytransfer.report.baselines import accuracy_rows, rule_rows
from raytransfer.report.cells import Performance, Row, performance_rows, ratio_rows
from raytransfer.report.choosing import ALL
from raytransfer.report.figures import draw_answers
from raytransfer.report.findings import DECISIVE, TOLERANCE, finding_rows, findings
from raytransfer.report.frontier import draw_frontier
from raytransfer.report.page import Cell, Figure, Section, Table, number, words
from raytransfer.report.replay import Rating, rating_rows
from raytransfer.report.study_figures import (
    draw_agreement, draw_chosen, draw_performance, draw_pretraining,
)  # fmt: skip
from raytransfer.report.summary import Answer
from raytransfer.report.thesis import side_by_side, why_they_differ
from raytransfer.results import Curve, Signal
from raytransfer.scheduling import Settled

ERROR_OVER = "The small numbers are the standard error over configurations and the worst of them"


def _grid(
    rows: Sequence[Mapping[str, Any]], down: Sequence[str], cell: Callable[[Mapping[str, Any]], Cell]
) -> tuple[list[str], list[list[Cell]]]:
    """Lay plain rows out with the columns `down` at the left and the models side by side."""
    models = sorted({row["model"] for row in rows})
    lines: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        lines.setdefault(tuple(row[name] for name in down), {})[row["model"]] = cell(row)
    body = [
        [*map(words, key), *(of.get(model, Cell(text="–")) for model in models)] for key, of in lines.items()
    ]
    return [*down, *models], body


def _missing(why: str = "") -> Cell:
    return Cell(text="missing", note=why, missing=True)


def answer_section(answers: Answers) -> Section:
    """Return the numbers behind the words at the top."""
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
        note="The best checkpoint by mean Dice, the share of resamples of the seeds in which it is the best of "
        "its scheme, the shortest pretraining not told apart from it (best in at least 2.5 % of resamples), "
        "and what each way of choosing takes: TIS, then its epoch and 95 % interval.",
        headers=("dataset", "model", "mode", "scheme", "best", "sure", "shortest equal", *names),
        rows=[
            [
                *(words(getattr(of.curve, name)) for name in ("dataset", "model", "mode", "scheme")),
                Cell(text=f"epoch {of.best}", note=of.dice(of.best), value=of.best),
                words("one seed") if of.seeds == 1 else number(100 * of.best_share, 0),
                words(of.shortest_equal),
                *(_choice(of, name) for name in names),
            ]
            for of in answers.standings
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


def performance_section(rows: Sequence[Row]) -> Section:
    """Return the thesis's Tables 2.6 to 2.10 and Figure 3.1."""

    def cell(row: Mapping[str, Any]) -> Cell:
        if row["dice"] is None:
            return _missing()
        spread = row["standard_deviation"]
        error = "" if math.isnan(spread) else f"± {spread:.4f}, "
        return number(row["dice"], 4, f"{error}epoch {row['epoch']}")

    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        model, dataset, _, mode = row.key
        if 0 in row.expected:
            first.setdefault((model, dataset, mode), row)
    scratch = [
        {k: v for k, v in row.items() if k != "scheme"}
        for row in performance_rows(list(first.values()), "scratch")
    ]
    everywhere = ("dataset", "mode", "scheme")
    titles = {"last": "Fully pretrained", "best": "Best checkpoint", "worst": "Worst checkpoint"}
    notes = {
        "last": "The longest pretraining.",
        "best": "The checkpoint with the highest mean Dice, no pretraining included.",
        "worst": "The checkpoint with the lowest mean Dice, no pretraining included.",
    }
    measure = "Dice on the test split, mean ± standard deviation over seeds."
    tables = [
        Table(
            name=name, title=title, note=f"{note} {measure}", data=data,
            headers=(layout := _grid(data, down, cell))[0], rows=layout[1],
        )
        for name, title, note, data, down in (
            *(
                [("from_scratch", "From scratch", "Random initialisation; serves every scheme.", scratch,
                  ("dataset", "mode"))]
                if scratch
                else []
            ),
            *(
                (f"{which}_checkpoint" if which != "last" else "fully_pretrained", titles[which],
                 notes[which], performance_rows(rows, which), everywhere)
                for which in titles
            ),
        )
    ]  # fmt: skip
    ratios = ratio_rows(rows)
    headers, body = _grid(
        ratios,
        everywhere,
        lambda row: _missing() if row["worst_over_best"] is None else number(
            row["worst_over_best"], 4, f"epoch {row['worst_epoch']} / epoch {row['best_epoch']}"
        ),
    )  # fmt: skip
    tables.append(
        Table(
            name="worst_over_best", title="Worst / best checkpoint", headers=headers, rows=body, data=ratios,
            note="Mean Dice of the worst checkpoint / of the best: what a bad choice may cost.",
        )
    )  # fmt: skip
    figures = [_performance_figure(rows, dataset) for dataset in dict.fromkeys(row.key[1] for row in rows)]
    return Section(
        name="performance",
        title="Downstream performance",
        words=("The thesis’s Tables 2.6 to 2.10, and its Figure 3.1.",),
        items=(*tables, *(figure for figure in figures if figure is not None)),
    )


def _performance_figure(rows: Sequence[Row], dataset: str) -> Figure | None:
    of = [row for row in rows if row.key[1] == dataset]
    data = [
        {
            "dataset": dataset, "model": row.key[0], "scheme": row.key[2], "mode": row.key[3], "epoch": epoch,
            "dice": point.mean if point else None, "standard_deviation": point.spread if point else None,
            "seeds": len(point.dice) if point else 0,
        }
        for row in of
        for epoch in row.expected
        for point in [row.measured.get(epoch)]
    ]  # fmt: skip
    if not any(row.measured for row in of):
        return None
    return Figure(
        name=f"performance_{_slug(dataset)}",
        title=f"Performance against pretraining length, {dataset}",
        note="Lines: mean Dice over seeds; band: standard deviation; dots: single trainings. Each panel has its "
        "own axis. (Thesis, Figure 3.1)",
        draw=lambda path: draw_performance(path, of),
        data=data,
    )


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def pretraining_section(epochs: pa.Table, trials: pa.Table) -> Section | None:
    """Return the thesis's Figure 2.3; None where nothing of pretraining is recorded.

    Args:
        epochs: The ledger's rows of pretraining; where empty, the accuracies in `trials` are drawn.
        trials: One row per downstream training.
    """
    if epochs.num_rows:
        columns = ["encoder", "scheme", "epoch", "train/loss", "train/top1", "val/loss", "val/top1"]
        rows = epochs.select(columns).to_pylist()
        note = "Solid: validation; dashed: training (with augmentation). (Thesis, Figure 2.3)"
    else:
        found = {
            (row["encoder"], row["scheme"], row["epoch"]): row["source_accuracy"]
            for row in trials.select(["encoder", "scheme", "epoch", "source_accuracy"]).to_pylist()
            if row["source_accuracy"] is not None
        }
        names = ("encoder", "scheme", "epoch", "val/top1")
        rows = [dict(zip(names, (*key, value), strict=True)) for key, value in sorted(found.items())]
        lone = {key for key in found if sum(other[:2] == key[:2] for other in found) == 1}
        rows = [row for row in rows if (row["encoder"], row["scheme"], row["epoch"]) not in lone]
        note = "Of the checkpoints; the tables hold no losses and no other epochs. (Thesis, Figure 2.3)"
    if not rows:
        return None
    figure = Figure(
        name="pretraining", title="Pretraining curves", note=note, data=rows,
        draw=lambda path: draw_pretraining(path, rows),
    )  # fmt: skip
    return Section(name="source", title="Pretraining", words=(), items=(figure,))


def _statistics(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(text="–")
    error = "" if math.isnan(row["standard_error"]) else f"± {row['standard_error']:.4f}, "
    return number(row["mean"], 4, f"{error}worst {row['worst']:.4f}")


def _group_name(key: tuple[str, str]) -> str:
    return "all" if key[0] == ALL else f"{key[0]}, {key[1]}"


def _by_group(
    rows: Sequence[Mapping[str, Any]], by: str
) -> tuple[list[tuple[str, str]], dict[str, dict[tuple[str, str], Mapping[str, Any]]]]:
    """Return the groups, all of them last, and rule -> group -> row."""
    groups = list(dict.fromkeys((row[by], row["mode"]) for row in rows))
    groups.sort(key=lambda key: (key[0] == ALL, key[0], MODES.index(key[1]) if key[1] in MODES else 0))
    lines: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row["rule"], {})[row[by], row["mode"]] = row
    return groups, lines


def _indicator_table(curves: Sequence[Curve], signal: Signal, by: str) -> Table:
    data = [*rule_rows(curves, signal, by=by), *accuracy_rows(curves, by=by)]
    groups, lines = _by_group(data, by)
    body = []
    for rule, of in lines.items():
        paid = of.get((ALL, ALL))
        body.append(
            [words(rule), *(_statistics(of.get(key)) for key in groups), number(paid and paid["epochs"], 1)]
        )
    return Table(
        name=f"indicators_by_{by}",
        title=f"TIS of indicators and baselines by {by}",
        note=f"Mean over configurations. {ERROR_OVER}. Epochs: of pretraining, paid for on average over all. "
        "(Thesis, Table 4.1)",
        headers=("choice", *map(_group_name, groups), "epochs paid"),
        rows=body,
        data=data,
    )


def indicator_section(
    curves: Sequence[Curve], answers: Answers, signal: Signal, *, published: bool
) -> Section:
    """Return the thesis's Table 4.1 and Figures 4.1 and 4.2."""
    by_dataset = _indicator_table(curves, signal, "dataset")
    items: list[Table | Figure] = [by_dataset, _indicator_table(curves, signal, "model")]
    compared = side_by_side(by_dataset.data) if published else []
    if compared:
        items.insert(1, _thesis_table(curves, compared))
    items += [_scores_figure(curves, signal, dataset) for dataset in answers.datasets]
    items.append(
        Figure(
            name="chosen_epochs",
            title="Chosen epochs",
            note="One line per configuration. The bar runs from the shortest pretraining that is not told apart "
            "from the best to the best. (Thesis, Figure 4.2)",
            draw=lambda path: draw_chosen(path, answers),
            data=[
                {
                    "dataset": of.curve.dataset, "model": of.curve.model, "mode": of.curve.mode,
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
            f"Robustness here is {signal}: distance, margin of the hinge, encoder level (from the end), and the "
            "modes in which representations are averaged over space. Higher is better.",
        ),
        items=items,
    )


def _thesis_table(curves: Sequence[Curve], compared: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        name="imagenet_accuracy",
        title="“ImageNet accuracy”, as printed and as recomputed",
        note=why_they_differ(curves),
        headers=("dataset", "mode", "thesis, Table 4.1", "highest accuracy", "last checkpoint"),
        rows=[
            [
                words(row["dataset"]), words(row["mode"]), number(row["thesis_imagenet_accuracy"], 3),
                number(row["recomputed_best_source_accuracy"]), number(row["recomputed_last_checkpoint"]),
            ]
            for row in compared
        ],
        data=compared,
    )  # fmt: skip


def _scores_figure(curves: Sequence[Curve], signal: Signal, dataset: str) -> Figure:
    of = [
        Answer(curve=curve, choice=choice)
        for curve in sorted(curves, key=lambda c: (c.model, MODES.index(c.mode), c.scheme != "simple"))
        if curve.dataset == dataset and (choice := signal.choice(curve.encoder, curve.mode)) in curve.scores
    ]
    data = [
        {
            "dataset": dataset, "model": a.curve.model, "scheme": a.curve.scheme, "mode": a.curve.mode,
            "epoch": epoch, "dice": dice, "standard_deviation": spread, "robustness": score,
            "standard_error": error, "chosen": epoch == a.chosen,
        }
        for a in of
        for epoch, dice, spread, score, error in zip(
            a.curve.epochs, a.curve.dice, a.curve.spread, a.curve.scores[a.choice],
            a.curve.standard_errors[a.choice], strict=True,
        )
    ]  # fmt: skip
    return Figure(
        name=f"scores_{_slug(dataset)}",
        title=f"Performance and robustness against pretraining length, {dataset}",
        note="Blue: Dice, bars are the standard deviation over seeds. Orange: robustness of the same checkpoint, "
        "bars are the standard error over images where recorded. The band marks the checkpoint with the highest "
        "score, epoch 0 left out. (Thesis, Figure 4.1)",
        draw=lambda path: draw_answers(path, of),
        data=data,
    )


SETTLED_NOTE = (
    "Beware: “settled” on {signal} was found on the very tables that the thesis published, so its place among "
    "the rules on those is flattering. Chosen on one of their two data sets and judged on the other, the gain "
    "over fixed budgets of the same epochs is +0.0052 (chosen on ACDC, judged on COVID-QU-Ex) and +0.0047 (the "
    "other way round)."
)


def stopping_section(ratings: Sequence[Rating], line: Sequence[Rating], unit: str) -> Section:
    """Return the stopping frontier and its table."""
    data = rating_rows([*line, *ratings], line, unit)
    places = {"mean_epochs": 1, "shared_mean_epochs": 1, f"worker_{unit}s": 1, f"makespan_{unit}s": 1}
    if unit == "hour":
        places |= {"worker_hours": 3, "makespan_hours": 3}
    return Section(
        name="stopping",
        title="Stopping pretraining early",
        words=(
            "What rules would have cost and reached, replayed on the recorded curves. A rule is worth its "
            "trouble where it lies above the line of fixed budgets, which need no scores.",
            SETTLED_NOTE.format(signal=Settled.signal),
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
    data: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[list[str], list[list[Cell]]]:
    """Lay ablation rows out: a line per parameter setting, a column per method and group of configurations."""
    groups = sorted(
        {(row["dataset"], row["mode"]) for row in data},
        key=lambda key: (key[0] != ALL, key[0], MODES.index(key[1]) if key[1] in MODES else 0),
    )
    columns = [(method, (ALL, ALL)) for method in METHODS] + [
        (method, key) for method in METHODS[:2] for key in groups if key[0] != ALL
    ]
    lines: dict[tuple[Any, ...], dict[tuple[Method, tuple[str, str]], Mapping[str, Any]]] = {}
    for row in data:
        method = Method(row["method"], row["grace_period"])
        setting = tuple(row[name] for name in names)
        lines.setdefault(setting, {})[method, (row["dataset"], row["mode"])] = row
    body = []
    for setting, of in lines.items():
        count = of[METHODS[0], (ALL, ALL)]["configurations"] if (METHODS[0], (ALL, ALL)) in of else 0
        shown = ["yes" if v is True else "no" if v is False else v for v in setting]
        body.append([*map(words, shown), words(count), *(_statistics(of.get(c)) for c in columns)])
    headers = [str(method) if key[0] == ALL else f"{method}: {_group_name(key)}" for method, key in columns]
    return [*names, "n", *headers], body


def parameter_section(curves: Sequence[Curve]) -> Section:
    """Return the thesis's Tables 4.2 to 4.4 and its findings."""
    varied, every = parameter_rows(curves), choice_rows(curves)
    claims = findings(curves)
    items: list[Table | Figure] = []
    for name, title, data, names, note in (
        (
            "parameters", "One parameter varied", varied, ("parameter", "value"),
            "The others are cosine, margin 0.5, level −2, pooled for decoder-only.",
        ),
        (
            "choices", "Every parameter choice", every, ("distance", "margin", "level", "pooled"),
            "The best of so many looks better than it is.",
        ),
    ):  # fmt: skip
        headers, body = _methods_table(data, names)
        items.append(
            Table(
                name=name, title=title, headers=headers, rows=body, data=data,
                note=f"{note} TIS by the best score of all (offline) and by the first peak (online), mean over n "
                f"configurations. {ERROR_OVER}. Levels count from the deepest, −1. (Thesis, Tables 4.2 to 4.4)",
            )
        )  # fmt: skip
    if varied:
        items.append(
            Table(
                name="findings",
                title="The thesis’s findings on the parameters",
                note=f"Mean paired difference in TIS ± standard error over configurations. Better: by more than "
                f"{DECISIVE:g} standard errors; equally good: within {TOLERANCE:g}, {DECISIVE:g} standard errors "
                "included.",
                headers=("finding", "method", "verdict", "comparisons"),
                rows=[
                    [
                        words(f"{of.number}. {of.claim}"), words(method), words(of.verdict(method)),
                        words(", ".join(
                            f"{c.name} {c.difference:+.4f} ± {c.standard_error:.4f} (n={c.configurations})"
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
    return Section(
        name="parameters_of_robustness", title="Parameters of robustness", words=(), items=items
    )


def metric_section(trials: pa.Table) -> Section:
    """Return the thesis's Figure 1.6."""
    rows = agreement_rows(trials)
    figure = Figure(
        name="metric_agreement",
        title="Rank correlation of segmentation metrics",
        note="Spearman’s, over all trainings of a dataset. Metrics that were not recorded for a dataset are left "
        "out; of hd95 lower is better. (Thesis, Figure 1.6)",
        draw=lambda path: draw_agreement(path, rows),
        data=rows,
    )
    return Section(name="metrics", title="Segmentation metrics", words=(), items=(figure,))


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A dataset, model and mode without an answer yet.

    Attributes:
        dataset: Target dataset.
        title: Model and mode.
        why: What is missing.
    """

    dataset: str
    title: str
    why: str


def gaps(rows: Sequence[Row], answers: Answers) -> list[Gap]:
    """Return what the answer leaves out.

    Args:
        rows: Of `performance`.
        answers: Of the curves that are complete.
    """
    there = {
        (of.curve.model, of.curve.dataset, of.curve.scheme, of.curve.mode) for of in answers.standings
    }
    found = []
    for row in rows:
        if row.key not in there:
            model, dataset, scheme, mode = row.key
            of = f"{'full training' if mode == 'full' else 'decoder only'}"
            found.append(Gap(dataset=dataset, title=f"{model}, {of}", why=f"{scheme}: {lack(row)}."))
    return found


def lack(row: Row) -> str:
    """Return what a row lacks, in words."""
    if not row.missing:
        return "trainings are there, scores of some checkpoints are not"
    what = "no checkpoint" if len(row.missing) == len(row.expected) else "not every checkpoint"
    return f"{what} has all its trainings; those of epoch {', '.join(map(str, row.missing))} are missing"


def missing_lines(rows: Sequence[Row], others: Iterable[str]) -> list[str]:
    """Return what is missing, a line each.

    Args:
        rows: Of `performance`.
        others: Lines of what else is.
    """
    lines = [
        f"{' '.join((model, dataset, scheme, mode))}: trainings are missing of epoch "
        f"{', '.join(map(str, row.missing))}"
        for row in rows
        if row.missing
        for model, dataset, scheme, mode in [row.key]
    ]
    return list(dict.fromkeys([*others, *lines]))
