"""The answer of a study: which checkpoint to take, from the ledger alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from raytransfer.metrics import transferability_indicator_score
from raytransfer.results import DownstreamUnit, Ledger, ScoringUnit
from raytransfer.scheduling import BestOfAll, FirstPeak, replay


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Downstream performance of one checkpoint.

    Attributes:
        dice: Mean Dice over seeds, in [0, 1].
        spread: Standard deviation over seeds (n - 1); NaN for one seed.
        robustness: The score of the checkpoint.
        standard_error: Of the score, over images.
    """

    dice: float
    spread: float
    robustness: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one model on one dataset in one mode shows about the checkpoints of one pretraining.

    Attributes:
        model: Segmentation model.
        dataset: Target dataset.
        scheme: Pretraining scheme.
        mode: "full" or "decoder-only".
        checkpoints: Pretraining epoch -> performance, in the order of the epochs.
        num_seeds: Seeds behind each mean.
    """

    model: str
    dataset: str
    scheme: str
    mode: str
    checkpoints: dict[int, Performance]
    num_seeds: int

    @property
    def best(self) -> int:
        """Epoch with the best mean Dice."""
        return max(self.checkpoints, key=lambda epoch: self.checkpoints[epoch].dice)

    @property
    def last(self) -> int:
        """Epoch of the longest pretraining."""
        return max(self.checkpoints)

    @property
    def chosen(self) -> int | None:
        """Epoch with the best robustness, the untrained encoder left out as in the thesis."""
        return replay(BestOfAll(), self._curve).selected_epoch

    @property
    def first_peak(self) -> int | None:
        """Epoch of the first peak of robustness: the thesis's online rule."""
        return replay(FirstPeak(), self._curve).selected_epoch

    @property
    def _curve(self) -> list[tuple[int, float]]:
        return [(epoch, c.robustness) for epoch, c in self.checkpoints.items()]

    def tis(self, epoch: int | None) -> float:
        """Return the TIS of taking this epoch's checkpoint; NaN where there is none."""
        if epoch not in self.checkpoints:
            return math.nan
        choice = [float(e == epoch) for e in self.checkpoints]
        return transferability_indicator_score(choice, [c.dice for c in self.checkpoints.values()])


def answers(
    ledger: Ledger, scorings: Sequence[ScoringUnit], trials: Sequence[DownstreamUnit]
) -> list[Answer]:
    """Return one answer per model, dataset, scheme and mode whose trials and scores are all in the ledger.

    Robustness is pooled for the frozen encoder and not pooled for full training, as in the thesis. Trials of
    epoch 0 count for every scheme.

    Args:
        ledger: The results.
        scorings: Scorings of the study.
        trials: Downstream trials of the study.
    """
    rows = {row["key"]: row for row in ledger.read("robustness", [s.key for s in scorings]).to_pylist()}
    scores = {
        (unit.encoder, unit.scheme, unit.dataset, unit.epoch, score["pooled"]): score
        for unit in scorings
        if unit.key in rows
        for score in rows[unit.key]["scores"]
    }
    dice = {row["key"]: row["dice"] for row in ledger.read("downstream", [t.key for t in trials]).to_pylist()}
    groups: dict[tuple[str, str, str, str], list[DownstreamUnit]] = {}
    schemes = dict.fromkeys(trial.configuration.scheme for trial in trials)
    for trial in trials:
        c = trial.configuration
        for scheme in schemes if c.epoch == 0 else (c.scheme,):
            groups.setdefault((c.model, c.dataset, scheme, c.mode), []).append(trial)
    found = []
    for (model, dataset, scheme, mode), group in groups.items():
        checkpoints = {}
        for epoch in sorted({trial.configuration.epoch for trial in group}):
            same = [trial for trial in group if trial.configuration.epoch == epoch]
            score = scores.get((same[0].encoder, scheme, dataset, epoch, mode == "decoder-only"))
            values = [dice[trial.key] for trial in same if trial.key in dice]
            if score is None or len(values) < len(same):
                break
            checkpoints[epoch] = Performance(
                dice=float(np.mean(values)),
                spread=float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                robustness=score["score"],
                standard_error=score["standard_error"],
            )
        else:
            found.append(
                Answer(
                    model=model,
                    dataset=dataset,
                    scheme=scheme,
                    mode=mode,
                    checkpoints=checkpoints,
                    num_seeds=len({trial.seed for trial in group}),
                )
            )
    return found


def _labels(found: Sequence[Answer]) -> list[str]:
    """Return which of an answer's names to show: the model, the mode, and what else varies."""
    names = ("model", "dataset", "scheme", "mode")
    return [n for n in names if n in ("model", "mode") or len({getattr(a, n) for a in found}) > 1]


def _with_error(value: float, error: float) -> str:
    return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"


def checkpoint_table(found: Sequence[Answer]) -> str:
    """Return a text table: Dice and robustness of every checkpoint, per model and mode."""
    epochs = sorted({epoch for answer in found for epoch in answer.checkpoints})
    labels = _labels(found)
    rows = []
    for answer in found:
        cells = [answer.checkpoints.get(epoch) for epoch in epochs]
        rows.append(
            [answer.model, answer.mode, "Dice"] + [_with_error(c.dice, c.spread) if c else "" for c in cells]
        )
        rows.append(
            ["", "", "robustness"] + [_with_error(c.robustness, c.standard_error) if c else "" for c in cells]
        )
    headers = [*labels, "", *(f"epoch {epoch}" for epoch in epochs)]
    return tabulate(rows, headers=headers, disable_numparse=True)


def answer_table(found: Sequence[Answer]) -> str:
    """Return a text table: what robustness chooses and what that costs, beside the simple choices."""
    labels = _labels(found)
    rows = []
    for answer in found:
        untrained = 0 if 0 in answer.checkpoints else None
        row = [*(getattr(answer, name) for name in labels), f"epoch {answer.best}"]
        for epoch in (answer.chosen, answer.first_peak, answer.last, untrained):
            cell = "-" if epoch is None else f"{answer.tis(epoch):.3f}"
            row.append(cell if epoch in (untrained, None) else f"{cell}  (epoch {epoch})")
        rows.append(row)
    if len(found) > 1:
        means = [
            np.mean([answer.tis(choose(answer)) for answer in found])
            for choose in (
                lambda a: a.chosen, lambda a: a.first_peak, lambda a: a.last, lambda a: 0
            )
        ]  # fmt: skip
        rows.append(["mean", *("" for _ in labels), *("-" if math.isnan(m) else f"{m:.3f}" for m in means)])
    headers = [*labels, "best", "robustness", "first peak", "last checkpoint", "random init."]
    return tabulate(rows, headers=headers, disable_numparse=True)


def summary(found: Sequence[Answer]) -> str:
    """Return the end of a study as text: both tables and how to read them."""
    seeds = found[0].num_seeds
    return "\n".join(
        [
            f"Downstream Dice on the test split (mean{' ± standard deviation' if seeds > 1 else ''} over "
            f"{seeds} seed{'s' if seeds > 1 else ''}) and robustness (± standard error over images)",
            checkpoint_table(found),
            "",
            "Transferability indicator score: Dice of the chosen checkpoint / Dice of the best one",
            answer_table(found),
            "robustness: highest score among pretrained checkpoints; first peak: where it first falls; "
            "pooled for decoder-only.",
        ]
    )
