"""What a study lacks, in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raytransfer.report.advice import Answers
from raytransfer.report.cells import Key, Row


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A dataset, model and protocol without an answer yet.

    Attributes:
        dataset: Target dataset.
        title: Model and protocol.
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
    waiting = set(unanswered(rows, answers))
    return [
        Gap(
            dataset=row.key[1],
            title=f"{row.key[0]}, {'full training' if row.key[3] == 'fine_tuning' else 'decoder only'}",
            why=f"{row.key[2]}, {lack(row)}.",
        )
        for row in rows
        if row.key in waiting
    ]


def unanswered(rows: Sequence[Row], answers: Answers) -> list[Key]:
    """Return the (model, dataset, scheme, protocol) that no complete curve answers."""
    there = {
        (of.curve.model, of.curve.dataset, of.curve.scheme, of.curve.protocol) for of in answers.standings
    }
    return [row.key for row in rows if row.key not in there]


def lack(row: Row) -> str:
    """Return what a row lacks, in words."""
    if not row.missing:
        return "scores of some checkpoints"
    return f"trainings of epoch {', '.join(map(str, row.missing))}"


def missing_lines(rows: Sequence[Row], others: Iterable[str]) -> list[str]:
    """Return what is missing, a line each.

    Args:
        rows: Of `performance`.
        others: Lines of what else is.
    """
    lines = [
        f"{' '.join((model, dataset, scheme, protocol))}: trainings are missing of epoch "
        f"{', '.join(map(str, row.missing))}"
        for row in rows
        if row.missing
        for model, dataset, scheme, protocol in [row.key]
    ]
    return list(dict.fromkeys([*others, *lines]))
