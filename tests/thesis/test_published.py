import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from raytransfer.errors import InputError
from raytransfer.results.curves import curves, incomplete
from raytransfer.scheduling.replay import replay
from raytransfer.scheduling.rules import BestOfAll, FirstPeak, FixedBudget
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.signals import Signal
from raytransfer.thesis.published import read_published

SCORES, TRIALS = "robustness_scores.csv", "downstream_scores.csv"


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, list[str]]:
    """The lines of both files; line i of the list is row i + 1."""
    return {
        name: (shared / "published" / name).read_text().splitlines(keepends=True) for name in (SCORES, TRIALS)
    }


@pytest.fixture(scope="module")
def found(shared: Path) -> list[Curve]:
    tables = read_published(shared / "published" / SCORES, shared / "published" / TRIALS)
    assert [table.num_rows for table in tables] == [16800, 1140]
    assert incomplete(*tables) == []
    return curves(*tables)


def chosen(found: list[Curve], rule: Callable) -> tuple[list[float], list[int]]:
    """TIS and epochs paid for, with the thesis's parameters."""
    tis, paid = [], []
    for curve in found:
        seen = replay(rule(), curve.points(Signal().choice(curve.encoder, curve.protocol)))
        tis.append(curve.tis(seen.selected_epoch))
        paid.append(seen.stopped_epoch)
    return tis, paid


@pytest.mark.parametrize(
    ("rule", "mean", "worst", "epochs"),
    [
        (lambda: FixedBudget(1), 0.9463, 0.8082, 1),
        (lambda: FixedBudget(5), 0.9690, 0.8671, 5),
        (lambda: FixedBudget(20), 0.9778, 0.8350, 20),
        (lambda: FixedBudget(50), 0.9861, 0.9240, 50),
        (lambda: FixedBudget(100), 0.9900, 0.9478, 100),
        (lambda: FixedBudget(200), 0.9935, 0.9756, 200),
        (lambda: FixedBudget(300), 0.9944, 0.9742, 300),
        (FirstPeak, 0.9622, 0.8208, 22.3),
        (lambda: FirstPeak(patience=2), 0.9654, 0.8208, 115.0),
        (BestOfAll, 0.9941, 0.9756, 300),
        (lambda: BestOfAll(grace_period=0), 0.9901, 0.9019, 300),
    ],
)
def test_the_published_numbers_come_out(
    found: list[Curve], rule: Callable, mean: float, worst: float, epochs: float
) -> None:
    tis, paid = chosen(found, rule)
    assert len(found) == 24
    assert np.mean(tis) == pytest.approx(mean, abs=5e-5)
    assert min(tis) == pytest.approx(worst, abs=5e-5)
    assert np.mean(paid) == pytest.approx(epochs, abs=0.05)


@pytest.mark.parametrize(
    ("dataset", "protocol", "expected"),
    [
        ("acdc", "fine_tuning", (0.9963, 0.9814, 0.9986, 0.9650)),
        ("acdc", "frozen", (0.9970, 0.9464, 0.9909, 0.9085)),
        ("covid-qu-ex", "fine_tuning", (0.9945, 0.9690, 0.9961, 0.9661)),
        ("covid-qu-ex", "frozen", (0.9885, 0.9518, 0.9919, 0.9146)),
    ],
)
def test_the_published_numbers_of_a_dataset_and_mode_come_out(
    found: list[Curve], dataset: str, protocol: str, expected: tuple[float, ...]
) -> None:
    members = [curve for curve in found if (curve.dataset, curve.protocol) == (dataset, protocol)]
    rules = (BestOfAll, FirstPeak, lambda: FixedBudget(300), lambda: FixedBudget(0))
    means = [np.mean(chosen(members, rule)[0]) for rule in rules]
    assert means == pytest.approx(expected, abs=5e-5)


def test_source_accuracy_and_metrics_are_read(shared: Path, found: list[Curve]) -> None:
    names = ("unet", "covid-qu-ex", "advanced", "fine_tuning")
    curve = next(c for c in found if (c.model, c.dataset, c.scheme, c.protocol) == names)
    accuracies = (0.001, 0.022, 0.126, 0.424, 0.536, 0.567, 0.62, 0.658, 0.702, 0.718)
    assert curve.source_accuracy == accuracies, "epoch 0 stands under the other scheme"
    _, trials = read_published(shared / "published" / SCORES, shared / "published" / TRIALS)
    row = trials.to_pylist()[0]
    assert (row["model"], row["encoder"], row["seed"]) == ("resnet50-attention-unet", "resnet50", 123124)
    assert (row["dice"], row["jaccard"], row["mcc"]) == (0.8967881697623016, 0.815010510332748, None)
    assert row["hd95"] == 4.118351692092006


def put(row: int, column: int, value: str) -> Callable[[list[str]], list[str]]:
    """Put a value into a cell; row as in the file, column from 0."""

    def corrupt(lines: list[str]) -> list[str]:
        cells = lines[row - 1].rstrip("\n").split(",")
        cells[column] = value
        return [*lines[: row - 1], ",".join(cells) + "\n", *lines[row:]]

    return corrupt


def without(*parts: str) -> Callable[[list[str]], list[str]]:
    """Leave out the rows that have all these cells in this order."""
    pattern = re.compile(".*".join(f"(?:^|,){re.escape(part)}(?=,|\n)" for part in parts))
    return lambda lines: [line for line in lines if not pattern.search(line)]


def swap(old: str, new: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [line.replace(old, new) for line in lines]


CORRUPT = [
    # scores: dataset,metric,margin,encoder,pretraining_scheme,pooled,level,pretraining_length,robustness
    (SCORES, put(1, 6, "levels"), "row 1: there is no column 'level'; is 'levels' meant?"),
    (SCORES, put(1, 5, "level"), "row 1: there is no column 'pooled'; it has 'dataset', 'metric'"),
    (SCORES, put(1, 0, "level"), "row 1: there is no column 'dataset'"),
    (SCORES, put(7, 0, "ACDK"), "row 7, column 'dataset': unknown data set 'ACDK'"),
    (SCORES, put(7, 0, "ACDK"), "did you mean 'ACDC'?"),
    (SCORES, put(16801, 1, "cosine"), "row 16801, column 'metric': unknown value 'cosine': did you mean "
     "'cosine_distance'? valid: cosine_distance, inv_pearson_corr, l2_loss"),
    (SCORES, put(7, 2, "half"), "row 7, column 'margin': must be a finite number, got 'half'"),
    (SCORES, put(7, 2, ""), "row 7, column 'margin': must be a number, got ''"),
    (SCORES, put(7, 3, "resnet"), "row 7, column 'encoder': unknown value 'resnet': did you mean 'res"),
    (SCORES, put(7, 4, "simple"), "row 7, column 'pretraining_scheme': unknown value 'simple': did you mean "
     "'simple_training'?"),
    (SCORES, put(7, 5, "Fals"), "row 7, column 'pooled': unknown value 'Fals': did you mean 'False'?"),
    (SCORES, put(7, 6, "6"), "row 7, column 'level': 'resnet50' has levels 1 to 5, got 6"),
    (SCORES, put(7, 6, "1.5"), "row 7, column 'level': must be a whole number, got '1.5'"),
    (SCORES, put(7, 7, "-5"), "row 7, column 'pretraining_length': must be a finite number from 0 to"),
    (SCORES, put(7, 8, "nan"), "row 7, column 'robustness': must be a finite number, got 'nan'"),
    (SCORES, put(7, 8, "1e999"), "row 7, column 'robustness': must be a finite number from 0 to"),
    (SCORES, put(7, 8, "1e9"), "row 7, column 'robustness': a mean hinge is at most margin + 2 with metric "
     "cosine_distance, margin 0.0"),
    (SCORES, put(16801, 8, "1e9"), "row 16801, column 'robustness': mean hinges of one checkpoint grow with "
     "the margin, no faster than it: row 16791 has 0.700338 at 0.75, this one 1e+09 at 1"),
    (SCORES, put(7, 8, "0.9"), "row 17, column 'robustness': mean hinges of one checkpoint grow with the"),
    (SCORES, put(7, 6, "1e300"), "row 7, column 'level': must be a finite number from 1 to 100"),
    (SCORES, put(7, 7, "1e300"), "row 7, column 'pretraining_length': must be a finite number from 0 to"),
    (SCORES, put(7, 8, "0.1,0.2"), "row 7: has 10 cells, the header has 9"),
    (SCORES, lambda lines: [*lines, lines[9]], "row 16802 repeats row 10: the same checkpoint"),
    (SCORES, lambda lines: [*lines[:9], *lines[10:]],
     "column 'pretraining_length': 0 is missing for dataset ACDC, metric cosine_distance, margin 0.0, "
     "encoder resnet50, pretraining_scheme advanced_training, pooled False, level 5 (which begins in row "),
    (SCORES, put(7, 7, "1"), "row 157 repeats row 7"),
    (SCORES, put(7, 7, "2"), "row 7, column 'pretraining_length': 2 is there for 1 of 150 parameter choices"),
    (SCORES, without("ACDC", "resnet50", "simple_training", "20"),
     "column 'pretraining length': "),
    (SCORES, without("COVID-QU", "swin_transformer", "simple_training"),
     "column 'pretraining length': "),
    (SCORES, without("ACDC"), "column 'dataset': unknown data set 'ACDC'"),
    (SCORES, lambda lines: [*lines[:-1], lines[-1][:-6]], "row 16801: the last line does not end"),
    (SCORES, lambda lines: [*lines[:-1], lines[-1][:20]], "row 16801: has 3 cells, the header has 9"),
    (SCORES, lambda lines: [*lines[:4], "\n", *lines[4:]], "row 5, column"),
    (SCORES, lambda lines: [], "is empty"),
    (SCORES, lambda lines: lines[:1], "has a header but no rows"),
    (SCORES, lambda lines: ["{\n", '"a": 1\n', "}\n"], "row 1: there is no column 'dataset'; it has '{'"),
    # trials: model,dataset,pretraining length,ImageNet accuracy,freeze encoder,pretraining scheme,seed,...
    (TRIALS, put(9, 0, "U-Net"), "row 9, column 'model': unknown value 'U-Net': did you mean 'Swin U-Net'?"),
    (TRIALS, put(9, 1, "BraTS"), "row 9, column 'dataset': unknown data set 'BraTS'"),
    (TRIALS, put(9, 2, "one"), "row 9, column 'pretraining length': must be a finite number, got 'one'"),
    (TRIALS, put(9, 3, "75"), "row 9, column 'ImageNet accuracy': must be a finite number from 0 to 1"),
    (TRIALS, put(9, 4, "maybe"), "row 9, column 'freeze encoder': unknown value 'maybe'"),
    (TRIALS, put(9, 5, "advancd"), "row 9, column 'pretraining scheme': unknown value 'advancd'"),
    (TRIALS, put(9, 6, ""), "row 9, column 'seed': must be a number, got ''"),
    (TRIALS, put(9, 6, "1e300"), "row 9, column 'seed': must be a finite number from 0 to 4294967295"),
    (TRIALS, put(9, 13, "7"), "row 9, column 'jaccard index': must be from 0 to 1, or empty, got '7'"),
    (TRIALS, put(9, 14, "-7"), "row 9, column 'mcc': must be from -1 to 1, or empty, got '-7'"),
    (TRIALS, put(9, 15, "-7"), "row 9, column 'modified hausdorff distance': must be from 0 to inf, or"),
    (TRIALS, lambda lines: [*lines, put(1, 6, "5")([lines[8]])[0]],
     "row 1143 repeats the results of row 9 to the last digit under another 'seed'"),
    (TRIALS, put(9, 7, "high"), "row 9, column 'accuracy': must be a number or empty, got 'high'"),
    (TRIALS, put(9, 18, "-inf"), "row 9, column 'mean dice index': must be a finite number, got '-inf'"),
    (TRIALS, put(9, 18, "8.97"), "row 9, column 'mean dice index': must be a finite number from 0 to 1, got"),
    (TRIALS, put(9, 18, ""), "row 9, column 'dice index': is empty, and so is 'mean dice index'"),
    (TRIALS, lambda lines: [*lines, put(1, 18, "0.5")([lines[8]])[0]],
     "row 1143 repeats row 9: the same training and 'seed' with other results"),
    (TRIALS, put(9, 2, "7"), "row 9, column 'pretraining length': "),
    (TRIALS, without("basic U-Net", "ACDC", "50", "0.568", "True", "simple"),
     "column 'pretraining length': no training (frozen) of checkpoint 50 of dataset ACDC, encoder "
     "u-net_encoder, pretraining_scheme simple_training, which row "),
    (TRIALS, without("Swin U-Net", "COVIDQUDataset", "0", "0.001", "False"),
     "column 'pretraining length': no training (fine_tuning) of checkpoint 0 of dataset COVID-QU"),
    (TRIALS, without("basic U-Net", "ACDC"), "no training (fine_tuning) of checkpoint 0 of dataset ACDC"),
    (TRIALS, lambda lines: [*lines[:-1], lines[-1][:-1]], "row 1142: the last line does not end"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "corrupt", "says"), CORRUPT, ids=[says[:60] for _, _, says in CORRUPT])
def test_what_is_wrong_is_named(
    published: dict, shared: Path, tmp_path: Path, name: str, corrupt: Callable, says: str
) -> None:
    bad = tmp_path / name
    bad.write_text("".join(corrupt(published[name])))
    paths = [bad if name == file else shared / "published" / file for file in (SCORES, TRIALS)]
    with pytest.raises(InputError) as raised:
        read_published(*paths)
    message = str(raised.value)
    assert says in message
    assert str(bad) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"\x89PNG\r\n\xff\xfe", "is not a CSV file"),
        (b"a\xff\n", "is not a CSV file"),
    ],
)
def test_what_is_no_csv_file_is_named(shared: Path, tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / SCORES).write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_published(tmp_path / SCORES, shared / "published" / TRIALS)


@pytest.mark.parametrize(
    ("scored", "trained", "ours"),
    [("IDRiD", "IDRIDDataset", "idrid"), ("covid-qu-ex", "COVIDQU", "covid-qu-ex"),
     ("My data", "my_dataDataset", "mydata")],
)  # fmt: skip
def test_a_dataset_is_known_whatever_its_spelling(
    published: dict, tmp_path: Path, scored: str, trained: str, ours: str
) -> None:
    (tmp_path / SCORES).write_text("".join(swap("COVID-QU,", f"{scored},")(published[SCORES])))
    (tmp_path / TRIALS).write_text("".join(swap("COVIDQUDataset,", f"{trained},")(published[TRIALS])))
    for table in read_published(tmp_path / SCORES, tmp_path / TRIALS):
        assert sorted(table["dataset"].unique().to_pylist()) == sorted(["acdc", ours])


def test_a_training_that_stands_there_twice_counts_once(found: list[Curve]) -> None:
    names = ("unet", "acdc", "advanced", "fine_tuning")
    curve = next(c for c in found if (c.model, c.dataset, c.scheme, c.protocol) == names)
    assert [len(seeds) for seeds in curve.performances] == [5] * 10, "the file has six rows of epoch 5"
    assert curve.performances[2][3] == 0.9064241995400868


def test_a_table_written_twice_counts_once(published: dict, shared: Path, tmp_path: Path) -> None:
    (tmp_path / TRIALS).write_text("".join([*published[TRIALS], *published[TRIALS][1:]]))
    _, once = read_published(shared / "published" / SCORES, shared / "published" / TRIALS)
    _, twice = read_published(shared / "published" / SCORES, tmp_path / TRIALS)
    assert once.num_rows == 1140
    assert twice.equals(once)


def test_metrics_that_decide_nothing_may_be_infinite(published: dict, shared: Path, tmp_path: Path) -> None:
    (tmp_path / TRIALS).write_text("".join(put(9, 15, "inf")(published[TRIALS])))
    _, trials = read_published(shared / "published" / SCORES, tmp_path / TRIALS)
    assert trials["hd95"].null_count == 1
