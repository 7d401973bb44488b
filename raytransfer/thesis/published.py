"""Import of the result tables that the thesis's public repository holds, strictly.

Every cell that counts is checked, and what is wrong is named by file, row (its line in the file, the header
being line 1) and column. What unusual rows do:

- A downstream row that repeats another in every column is the same training written down twice, and counts
  once. The published files have one such pair. Two rows of one seed that differ are an error, as are two of
  different seeds with the same results to the last digit, and two scores of one checkpoint and choice.
- A mean hinge must be one that its margin and distance allow, and grow with the margin as hinges do.
- Rows of epoch 0 stand under the scheme "simple" and serve every scheme.
- Of the metrics other than Dice, an empty, NaN or infinite cell is a null: nothing is chosen by them.
- A data set is recognised whatever the case, punctuation and a trailing "Dataset" of its name; one that this
  project does not know is admitted where both files have it.
"""

import csv
import difflib
import io
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from raytransfer.data.registry import TARGETS
from raytransfer.errors import InputError, reason, unknown_name
from raytransfer.models.names import encoder_of, num_levels
from raytransfer.settings import MOST_EPOCHS, MOST_SEED
from raytransfer.statistics.untrained import UNTRAINED, share_untrained
from raytransfer.transferability.indicators.base import ScoreSpec

MODELS = {
    "basic U-Net": "unet",
    "ResNet50 Attention U-Net": "resnet50-attention-unet",
    "Swin U-Net": "swin-unet",
}
ENCODERS = {"u-net_encoder": "unet", "resnet50": "resnet50", "swin_transformer": "swin"}
DISTANCES = {"cosine_distance": "cosine", "l2_loss": "l2", "inv_pearson_corr": "pearson"}
SCHEMES = {"simple": "simple", "advanced": "advanced"}
SCORED_SCHEMES = {"simple_training": "simple", "advanced_training": "advanced"}
METRIC_LABEL = "Dice"
PROTOCOLS = {"False": "fine_tuning", "True": "frozen"}
BOOLEANS = {"False": False, "True": True}
DATASET_ALIASES = {"covidqu": "covid-qu-ex"}
METRIC_COLUMNS = {
    "mcc": "mcc",
    "balanced accuracy": "balanced_accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "accuracy": "accuracy",
    "area under roc": "auroc",
    "average precision score": "average_precision",
    "modified hausdorff distance": "hd95",
}

METRIC_RANGES = {"mcc": (-1.0, 1.0), "hd95": (0.0, math.inf)}
"""Of those that are not within [0, 1]."""

MOST_DISTANCE = {"cosine": 2.0, "pearson": 2.0, "l2": math.inf}
MOST_LEVELS = 100
"""More than any encoder has."""

ROUNDING = 1e-5
"""Relative, of hinges that were computed in float32."""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"


class _Csv:
    """A CSV file read as text; its methods give checked columns and errors that name the row."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        try:
            data = path.read_bytes()
            header = next(csv.reader(io.StringIO(data.splitlines()[0].decode("utf-8-sig"))), [])
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except IndexError as error:
            raise InputError(f"{path}: is empty") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: is not a CSV file ({reason(error)})") from error
        for column in columns:
            if header.count(column) != 1:
                raise self._bad_header(column, header)
        self.text = self._read(data, columns)
        if not self.text.num_rows:
            raise InputError(f"{path}: has a header but no rows")
        self._ends = data.endswith(b"\n")

    def _bad_header(self, column: str, header: Sequence[str]) -> InputError:
        if column in header:
            return InputError(f"{self.path}: row 1: column {column!r} is there twice")
        near = difflib.get_close_matches(column, header, n=1)
        hint = f"is {near[0]!r} meant?" if near else f"it has {', '.join(map(repr, header))[:200]}"
        return InputError(f"{self.path}: row 1: there is no column {column!r}; {hint}")

    def _read(self, data: bytes, columns: Sequence[str]) -> pa.Table:
        torn: list[Any] = []

        def keep(row: Any) -> str:
            torn.append(row)
            return "skip"

        try:
            table = pacsv.read_csv(
                pa.BufferReader(data),
                read_options=pacsv.ReadOptions(use_threads=False, block_size=max(len(data), 1)),
                parse_options=pacsv.ParseOptions(ignore_empty_lines=False, invalid_row_handler=keep),
                convert_options=pacsv.ConvertOptions(
                    include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
                ),
            )
        except pa.ArrowException as error:
            raise InputError(f"{self.path}: is not a CSV file ({reason(error)})") from error
        if torn:
            has, needs = torn[0].actual_columns, torn[0].expected_columns
            raise InputError(f"{self.path}: row {torn[0].number}: has {has} cells, the header has {needs}")
        return table.combine_chunks()

    def check_end(self) -> None:
        """Raise InputError where the last line has no end: what is missing of it nobody can tell."""
        if not self._ends:
            raise InputError(
                f"{self.path}: row {self.text.num_rows + 1}: the last line does not end, the file is cut off"
            )

    def row(self, index: int) -> int:
        """Return the line in the file of a row counted from 0."""
        return index + 2

    def problem(self, index: int, column: str, says: object) -> InputError:
        """Build the error for a cell."""
        return InputError(f"{self.path}: row {self.row(index)}, column {column!r}: {says}")

    def cells(self, index: int, columns: Iterable[str]) -> str:
        """Return what a row has in some columns, in the file's own words."""
        return ", ".join(f"{column} {self.text[column][index].as_py()}" for column in columns)

    def names(self, column: str, known: Mapping[str, Any]) -> pa.Array:
        """Return a column of names as the values that `known` has for them."""
        found = pc.index_in(self.text[column], value_set=pa.array(list(known))).combine_chunks()
        if found.null_count:
            index = _first(found.is_null())
            name = self.text[column][index].as_py()
            raise self.problem(index, column, unknown_name("value", name, known))
        return pa.array(list(known.values())).take(found)

    def numbers(
        self, column: str, *, low: float = -math.inf, high: float = math.inf, whole: bool = False
    ) -> pa.Array:
        """Return a column of finite numbers, nulls where cells are empty."""
        text = self.text[column].combine_chunks()
        text = pc.if_else(pc.equal(text, ""), None, text)
        self._require(column, pc.match_substring_regex(text, _NUMBER), "must be a finite number")
        values = pc.cast(text, pa.float64())
        good = pc.and_(pc.is_finite(values), pc.and_(pc.less_equal(low, values), pc.less_equal(values, high)))
        self._require(column, good, f"must be a finite number from {low:.10g} to {high:.10g}")
        if whole:
            self._require(column, pc.equal(values, pc.round(values)), "must be a whole number")
            return pc.cast(values, pa.int64())
        return values

    def required(self, column: str, **bounds: Any) -> pa.Array:
        """Return a column of finite numbers without nulls."""
        values = self.numbers(column, **bounds)
        self._require(column, values.is_valid(), "must be a number")
        return values

    def metric(self, column: str, low: float = 0.0, high: float = 1.0) -> pa.Array:
        """Return a column of numbers, nulls where cells are empty or not finite."""
        text = self.text[column].combine_chunks()
        nothing = pc.or_(pc.equal(text, ""), pc.match_substring_regex(text, _NOT_FINITE))
        text = pc.if_else(nothing, None, text)
        self._require(column, pc.match_substring_regex(text, _NUMBER), "must be a number or empty")
        values = pc.cast(text, pa.float64())
        good = pc.and_(pc.less_equal(low, values), pc.less_equal(values, high))
        self._require(column, good, f"must be from {low:g} to {high:g}, or empty")
        return values

    def _require(self, column: str, good: pa.Array, says: str) -> None:
        if not pc.all(good, min_count=0).as_py():
            index = _first(pc.invert(good))
            raise self.problem(index, column, f"{says}, got {self.text[column][index].as_py()!r}")


def _first(mask: pa.Array) -> int:
    return int(np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False))[0])


def _dataset(spelled: str) -> str:
    """Return this project's name of a data set: case, punctuation and a trailing "Dataset" do not matter."""
    plain = _plain(spelled)
    return {**{_plain(name): name for name in TARGETS}, **DATASET_ALIASES}.get(plain, plain)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold()).removesuffix("dataset")


def _dataset_names(file: _Csv, other: _Csv) -> dict[str, str]:
    """Return the data sets of a file, as it spells them -> this project's name.

    Raises:
        InputError: The other file does not have one.
    """
    elsewhere = {_dataset(spelled): spelled for spelled in other.text["dataset"].unique().to_pylist()}
    names = {spelled: _dataset(spelled) for spelled in file.text["dataset"].unique().to_pylist()}
    for spelled, name in names.items():
        if not name or name not in elsewhere:
            near = difflib.get_close_matches(name, elsewhere, n=1, cutoff=0.4)
            hint = f"did you mean {elsewhere[near[0]]!r}?" if near else f"it has {sorted(elsewhere.values())}"
            raise file.problem(
                pc.index(file.text["dataset"], spelled).as_py(),
                "dataset",
                f"unknown data set {spelled!r}: {other.path} has none of that name; {hint}",
            )
    return names


SCORE_KEY = ("dataset", "metric", "margin", "encoder", "pretraining_scheme", "pooled", "level")
SCORE_EPOCH = "pretraining_length"
TRIAL_KEY = ("model", "dataset", "pretraining scheme", "freeze encoder")
TRIAL_EPOCH = "pretraining length"
DICE, MEAN_DICE, JACCARD, MEAN_JACCARD = (
    "dice index",
    "mean dice index",
    "jaccard index",
    "mean jaccard index",
)
SOURCE_ACCURACY = "ImageNet accuracy"


def _scores(file: _Csv, datasets: Mapping[str, str]) -> pa.Table:
    rows = file.text.num_rows
    encoders, levels = (
        file.names("encoder", ENCODERS),
        file.required("level", low=1, high=MOST_LEVELS, whole=True),
    )
    for name in encoders.unique().to_pylist():
        too_deep = pc.and_(pc.equal(encoders, name), pc.greater(levels, num_levels(name)))
        if pc.any(too_deep).as_py():
            index = _first(too_deep)
            raise file.problem(
                index, "level", f"{name!r} has levels 1 to {num_levels(name)}, got {levels[index].as_py()}"
            )
    return pa.table(
        {
            "dataset": file.names("dataset", datasets),
            "encoder": encoders,
            "scheme": file.names("pretraining_scheme", SCORED_SCHEMES),
            "epoch": file.required(SCORE_EPOCH, low=0, high=MOST_EPOCHS, whole=True),
            "distance": file.names("metric", DISTANCES),
            "margin": file.required("margin", low=0),
            "level": levels,
            "pooled": file.names("pooled", BOOLEANS),
            # The file holds the mean hinge, of which lower is better.
            "score": pc.subtract(1.0, file.required("robustness", low=0)),
            "standard_error": pa.nulls(rows, pa.float64()),
        }
    )


def _trials(file: _Csv, datasets: Mapping[str, str]) -> pa.Table:
    models = file.names("model", MODELS)
    dice = pc.coalesce(file.numbers(DICE, low=0, high=1), file.numbers(MEAN_DICE, low=0, high=1))
    if dice.null_count:
        raise file.problem(_first(dice.is_null()), DICE, f"is empty, and so is {MEAN_DICE!r}")
    return pa.table(
        {
            "model": models,
            "dataset": file.names("dataset", datasets),
            "encoder": pa.array([encoder_of(model) for model in models.to_pylist()]),
            "scheme": file.names("pretraining scheme", SCHEMES),
            "protocol": file.names("freeze encoder", PROTOCOLS),
            "epoch": file.required(TRIAL_EPOCH, low=0, high=MOST_EPOCHS, whole=True),
            "seed": file.required("seed", low=0, high=MOST_SEED, whole=True),
            "source_accuracy": file.numbers(SOURCE_ACCURACY, low=0, high=1),
            "dice": dice,
            "jaccard": pc.coalesce(file.metric(JACCARD), file.metric(MEAN_JACCARD)),
            **{
                ours: file.metric(theirs, *METRIC_RANGES.get(ours, (0.0, 1.0)))
                for theirs, ours in METRIC_COLUMNS.items()
            },
        }
    )


def _by_spec(scores: pa.Table) -> pa.Table:
    """Return the scores with the columns of a `ScoreSpec`, levels counted from the end."""
    choices = list(zip(scores["distance"].to_pylist(), scores["margin"].to_pylist(), strict=True))
    text = {}
    for distance, margin in dict.fromkeys(choices):
        options = (("distance", distance), ("margin", margin))
        text[distance, margin] = ScoreSpec("robustness", options=options).options_text
    depths = {name: num_levels(name) for name in scores["encoder"].unique().to_pylist()}
    depth = pa.array([depths[name] for name in scores["encoder"].to_pylist()])
    kept = scores.select(["dataset", "encoder", "scheme", "epoch", "pooled", "standard_error"])
    return (
        kept.append_column("indicator", pa.array(["robustness"] * scores.num_rows))
        .append_column("options", pa.array([text[of] for of in choices]))
        .append_column("level", pc.subtract(pc.subtract(scores["level"], depth), 1))
        .append_column("value", scores["score"])
    )


def _check_unique(file: _Csv, table: pa.Table, keys: Sequence[str], says: str) -> None:
    groups = table.group_by(list(keys), use_threads=False).aggregate([("row", "min"), ("row", "max")])
    twice = groups.filter(pc.not_equal(groups["row_min"], groups["row_max"])).sort_by("row_min")
    if twice.num_rows:
        first, again = twice["row_min"][0].as_py(), twice["row_max"][0].as_py()
        raise InputError(f"{file.path}: row {file.row(again)} repeats row {file.row(first)}: {says}")


def _check_hinges(file: _Csv, numbered: pa.Table) -> None:
    """Raise InputError where a mean hinge is none that its distance and margin allow.

    For each image the hinge max(0, margin + difference of two distances) grows with the margin, never faster
    than it, so the mean does too.
    """
    key = ["dataset", "encoder", "scheme", "epoch", "distance", "level", "pooled"]
    most = pc.add(numbered["margin"], pa.array([MOST_DISTANCE[d] for d in numbered["distance"].to_pylist()]))
    hinges = pc.subtract(1.0, numbered["score"])
    too_high = pc.greater(hinges, pc.add(most, ROUNDING))
    if pc.any(too_high).as_py():
        index = _first(too_high.combine_chunks())
        says = f"a mean hinge is at most margin + {MOST_DISTANCE[numbered['distance'][index].as_py()]:g} with"
        raise file.problem(index, "robustness", f"{says} {file.cells(index, ['metric', 'margin'])}")
    table = numbered.append_column("hinge", hinges).sort_by(
        [(name, "ascending") for name in (*key, "margin")]
    )
    margin, hinge, row = (table[name].to_numpy() for name in ("margin", "hinge", "row"))
    same = np.logical_and.reduce([_repeats(table[name]) for name in key])
    rise, step, rounding = np.diff(hinge), np.diff(margin), ROUNDING * (1 + np.abs(hinge[1:]) + margin[1:])
    for index in np.flatnonzero(same & ((rise < -rounding) | (rise > step + rounding)))[:1]:
        first, second = int(row[index]), int(row[index + 1])
        says = (
            f"mean hinges of one checkpoint grow with the margin, no faster than it: row {file.row(first)} "
            f"has {hinge[index]:g} at {margin[index]:g}, this one {hinge[index + 1]:g} at "
            f"{margin[index + 1]:g}"
        )
        raise file.problem(second, "robustness", says)


def _repeats(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return for each row but the first whether its value is that of the row before."""
    values = column.to_numpy()
    return values[1:] == values[:-1]


def _check_copies(file: _Csv, distinct: pa.Table) -> None:
    """Raise InputError where a training stands there again under another seed: no two end alike.

    Only of those with a metric of probabilities, which no two networks share; labels alone they may.
    """
    names = [name for name in distinct.column_names if name not in ("seed", "row")]
    sure = pc.or_(distinct["auroc"].is_valid(), distinct["average_precision"].is_valid())
    groups = (
        distinct.filter(sure).group_by(names, use_threads=False).aggregate([("row", "min"), ("row", "max")])
    )
    twice = groups.filter(pc.not_equal(groups["row_min"], groups["row_max"])).sort_by("row_min")
    if twice.num_rows:
        first, again = twice["row_min"][0].as_py(), twice["row_max"][0].as_py()
        raise InputError(
            f"{file.path}: row {file.row(again)} repeats the results of row {file.row(first)} to the last "
            "digit under another 'seed': one training would count as two"
        )


def _distinct(table: pa.Table) -> pa.Table:
    """Return rows without those that repeat another in every column; "row" is where they are first."""
    numbered = table.append_column("row", pa.array(np.arange(table.num_rows)))
    groups = numbered.group_by(table.column_names, use_threads=False).aggregate([("row", "min")])
    return groups.rename_columns([*table.column_names, "row"]).sort_by("row")


Series = dict[tuple[Any, ...], dict[int, int]]
"""Key -> epoch -> the first row that has it."""


def _series(table: pa.Table, keys: Sequence[str]) -> Series:
    names = [*keys, "epoch"]
    groups = table.group_by(names, use_threads=False).aggregate([("row", "min")])
    found: Series = {}
    for *key, epoch, row in zip(*(groups[name].to_pylist() for name in (*names, "row_min")), strict=True):
        found.setdefault(tuple(key), {})[epoch] = row
    return found


def _check_choices(file: _Csv, scores: pa.Table) -> None:
    """Raise InputError where the parameter choices of a pretraining do not have the same checkpoints."""
    choices = _series(scores, ["dataset", "encoder", "scheme", "distance", "margin", "level", "pooled"])
    siblings: dict[tuple[Any, ...], list[dict[int, int]]] = {}
    for key, epochs in choices.items():
        siblings.setdefault(key[:3], []).append(epochs)
    for series in siblings.values():
        counts = Counter(epoch for epochs in series for epoch in epochs)
        rare = min(counts, key=lambda epoch: counts[epoch])
        if counts[rare] == len(series):
            continue
        if counts[rare] <= len(series) / 2:
            row = min(epochs[rare] for epochs in series if rare in epochs)
            says = f"{rare} is there for {counts[rare]} of {len(series)} parameter choices only"
            raise file.problem(row, SCORE_EPOCH, says)
        row = min(min(epochs.values()) for epochs in series if rare not in epochs)
        raise InputError(
            f"{file.path}: column {SCORE_EPOCH!r}: {rare} is missing for {file.cells(row, SCORE_KEY)} (which "
            f"begins in row {file.row(row)}), other parameter choices have it"
        )


def _check_trials(file: _Csv, trials: pa.Table, score_file: _Csv, scores: pa.Table) -> None:
    """Raise InputError where the two files do not speak of the same checkpoints."""
    scored = _series(scores, ["dataset", "encoder", "scheme"])
    trained = _series(trials, ["dataset", "encoder", "scheme", "protocol"])
    for (dataset, encoder, scheme, _), epochs in trained.items():
        with_scores = scored.get((dataset, encoder, scheme), {})
        for epoch in sorted(epochs.keys() - with_scores.keys()):
            if epoch != UNTRAINED or with_scores:  # else a scheme stands for its untrained encoders only
                rows = [score_file.row(row) for row in with_scores.values()]
                near = f", those of others begin in row {min(rows)}" if rows else ""
                says = f"{score_file.path} has no scores of this checkpoint ({epoch}){near}"
                raise file.problem(epochs[epoch], TRIAL_EPOCH, says)
    protocols = sorted({protocol for *_, protocol in trained})
    wanted = {(*key, protocol): trained.get((*key, protocol), {}) for key in scored for protocol in protocols}
    shared = share_untrained({**trained, **wanted}, lambda key: (*key[:2], key[3]))
    for ((dataset, encoder, scheme), epochs), protocol in product(scored.items(), protocols):
        have = trained.get((dataset, encoder, scheme, protocol), {})
        for epoch in sorted(epochs.keys() - shared[dataset, encoder, scheme, protocol].keys()):
            which = score_file.cells(epochs[epoch], ("dataset", "encoder", "pretraining_scheme"))
            near = f", others of it begin in row {file.row(min(have.values()))}" if have else ""
            raise InputError(
                f"{file.path}: column {TRIAL_EPOCH!r}: no training ({protocol}) of checkpoint {epoch} of "
                f"{which}, which row {score_file.row(epochs[epoch])} of {score_file.path} scores{near}"
            )


def read_published(
    robustness_csv: str | os.PathLike[str], downstream_csv: str | os.PathLike[str]
) -> tuple[pa.Table, pa.Table]:
    """Read the two published tables into this project's words; see the module for unusual rows.

    Args:
        robustness_csv: The scores of the checkpoints (`robustness_scores.csv`).
        downstream_csv: The downstream trainings (`downstream_scores.csv`).

    Returns:
        The scores, one row per checkpoint and score spec: dataset, encoder, scheme, epoch, indicator, options
        (text), level (from the end), pooled, value (1 - mean hinge, higher is better) and standard_error
        (null: not published). And the trials, one row per training: model, dataset, encoder,
        scheme, protocol, epoch, seed, source_accuracy, the names of `SEGMENTATION_METRICS`, performance (the
        Dice) and metric (what people call that).

    Raises:
        InputError: A file cannot be read or is cut off, lacks a column or a checkpoint, or has a value that
            is unknown, no finite number, out of its range, or there twice; the message names file, row and
            column.
    """
    score_file = _Csv(Path(robustness_csv), [*SCORE_KEY, SCORE_EPOCH, "robustness"])
    trial_columns = [*TRIAL_KEY, TRIAL_EPOCH, "seed", SOURCE_ACCURACY, *METRIC_COLUMNS]
    trial_file = _Csv(Path(downstream_csv), [*trial_columns, DICE, MEAN_DICE, JACCARD, MEAN_JACCARD])
    scores = _scores(score_file, _dataset_names(score_file, trial_file))
    trials = _trials(trial_file, _dataset_names(trial_file, score_file))
    score_file.check_end()
    trial_file.check_end()
    numbered = scores.append_column("row", pa.array(np.arange(scores.num_rows)))
    choice = ["dataset", "encoder", "scheme", "epoch", "distance", "margin", "level", "pooled"]
    _check_unique(
        score_file, numbered, choice, "the same checkpoint and parameters (all columns but 'robustness')"
    )
    distinct = _distinct(trials)
    trial = ["model", "dataset", "scheme", "protocol", "epoch", "seed"]
    _check_unique(trial_file, distinct, trial, "the same training and 'seed' with other results")
    _check_copies(trial_file, distinct)
    _check_hinges(score_file, numbered)
    _check_choices(score_file, numbered)
    _check_trials(trial_file, distinct, score_file, numbered)
    metric = pa.array([METRIC_LABEL] * distinct.num_rows, pa.string())
    trials = distinct.drop_columns(["row"]).append_column("performance", distinct["dice"])
    return _by_spec(scores), trials.append_column("metric", metric)
