"""Every number of the ablation against a second computation from the files, by the standard library."""

import csv
import itertools
import math
import runpy
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from raytransfer.cli.command import verb_that_computes
from raytransfer.results.curves import curves
from raytransfer.statistics.ablation import choice_rows, parameter_rows
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.selection import rule_rows
from raytransfer.thesis.findings import Comparison, Finding, finding_rows, findings
from raytransfer.thesis.published import read_published

EPOCHS = (0, 1, 5, 20, 50, 100, 150, 200, 250, 300)
ENCODERS = {
    "basic U-Net": ("u-net_encoder", 5), "ResNet50 Attention U-Net": ("resnet50", 5),
    "Swin U-Net": ("swin_transformer", 4),
}  # fmt: skip
DATASETS = {"ACDC": ("ACDC", "acdc"), "COVIDQUDataset": ("COVID-QU", "covid-qu-ex")}
DISTANCES = {"cosine_distance": "cosine", "l2_loss": "l2", "inv_pearson_corr": "pearson"}
THESIS = ("cosine", 0.5, -2)


def best(scores: list[float], first: int) -> tuple[int, int]:
    """Positions of the checkpoint that is taken and of the last one that is paid for."""
    return scores.index(max(scores[first:]), first), len(scores) - 1


def peak(scores: list[float], first: int) -> tuple[int, int]:
    for i in range(first + 1, len(scores)):
        if scores[i] <= scores[i - 1]:
            return i - 1, i
    return len(scores) - 1, len(scores) - 1


RULES = {"offline": best, "online": peak}


class Expected:
    """The 24 configurations: Dice by seed, and scores by (distance, margin, level from the end, pooled)."""

    def __init__(self, folder: Path) -> None:
        dice: dict = defaultdict(dict)
        with (folder / "downstream_scores.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                key = (row["model"], row["dataset"], row["pretraining scheme"], row["freeze encoder"])
                value = float(row["dice index"] or row["mean dice index"])
                dice[(*key, int(row["pretraining length"]))][row["seed"]] = value
        scores = {}
        with (folder / "robustness_scores.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                key = (
                    row["dataset"],
                    row["encoder"],
                    row["pretraining_scheme"],
                    int(row["pretraining_length"]),
                )
                choice = (DISTANCES[row["metric"]], float(row["margin"]), int(row["level"]))
                scores[(*key, *choice, row["pooled"] == "True")] = 1 - float(row["robustness"])
        self.choices = sorted({(d, m, level - 6, p) for *_, d, m, level, p in scores})
        self.configurations = []
        for model, dataset, scheme, frozen in itertools.product(
            ENCODERS, DATASETS, ("simple", "advanced"), ("False", "True")
        ):
            (encoder, levels), (scored, name) = ENCODERS[model], DATASETS[dataset]
            seeds = [
                list(dice[model, dataset, "simple" if e == 0 else scheme, frozen, e].values()) for e in EPOCHS
            ]
            by_choice = {
                (d, m, level, p): [
                    scores[scored, encoder, f"{scheme}_training", e, d, m, levels + 1 + level, p]
                    for e in EPOCHS
                ]
                for d, m, level, p in self.choices
                if levels + level >= 0
            }
            protocol = "frozen" if frozen == "True" else "fine_tuning"
            self.configurations.append((name, protocol, seeds, by_choice))

    def tis(self, method: str, grace: int, choice_of: Callable) -> list:
        """(dataset, protocol, TIS, TIS by seed, epochs paid) of the configurations that have the choice."""
        found = []
        for dataset, protocol, seeds, by_choice in self.configurations:
            choice = choice_of(protocol)
            if choice in by_choice:
                means = [statistics.fmean(of) for of in seeds]
                taken, paid = RULES[method](by_choice[choice], grace)
                by_seed = [of[taken] / max(of) for of in zip(*seeds, strict=True)]
                found.append((dataset, protocol, means[taken] / max(means), by_seed, EPOCHS[paid]))
        return found

    def check(self, row: dict, method: str, grace: int, choice_of: Callable) -> None:
        members = [
            one
            for one in self.tis(method, grace, choice_of)
            if row["dataset"] in ("all", one[0]) and row["protocol"] in ("all", one[1])
        ]
        values = [one[2] for one in members]
        by_seed = [statistics.fmean(of) for of in zip(*(one[3] for one in members), strict=True)]
        expected = (
            len(values), statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)),
            min(values), statistics.stdev(by_seed), statistics.fmean(one[4] for one in members),
        )  # fmt: skip
        names = ("configurations", "mean", "standard_error", "worst", "seed_spread", "epochs")
        assert tuple(row[name] for name in names) == pytest.approx(expected, rel=1e-9), row


@pytest.fixture(scope="module")
def expected(shared: Path) -> Expected:
    return Expected(shared / "published")


@pytest.fixture(scope="module")
def found(shared: Path) -> list[Curve]:
    folder = shared / "published"
    return curves(*read_published(folder / "robustness_scores.csv", folder / "downstream_scores.csv"))


def test_every_parameter_choice(expected: Expected, found: list[Curve]) -> None:
    rows = choice_rows(found)
    assert len({tuple(row.values())[:8] for row in rows}) == len(rows) == 150 * 4 * 5
    for row in rows[:: len(rows) // 300 + 1] + [
        r for r in rows if r["level"] == -5 and r["dataset"] == "all"
    ]:
        choice = (row["distance"], row["margin"], row["level"], row["pooled"])
        expected.check(row, row["method"], row["grace_period"], lambda protocol, choice=choice: choice)
    assert {r["configurations"] for r in rows if r["level"] == -5 and r["dataset"] == "all"} == {16}


def test_every_parameter_varied_alone(expected: Expected, found: list[Curve]) -> None:
    rows = parameter_rows(found)
    assert len({tuple(row.values())[:6] for row in rows}) == len(rows) == (3 + 5 + 5 + 4) * 4 * 5
    protocols = {
        "frozen": ("frozen",),
        "always": ("frozen", "fine_tuning"),
        "never": (),
        "fine_tuning": ("fine_tuning",),
    }
    for row in rows:
        distance, margin, level, pooled = *THESIS, ("frozen",)
        match row["parameter"]:
            case "distance":
                distance = row["value"]
            case "margin":
                margin = float(row["value"])
            case "level":
                level = int(row["value"])
            case "pooled":
                pooled = protocols[row["value"]]
        choice = (distance, margin, level)
        expected.check(
            row, row["method"], row["grace_period"], lambda protocol, c=choice, p=pooled: (*c, protocol in p)
        )


def test_rules_and_fixed_budgets(expected: Expected, found: list[Curve]) -> None:
    rows = rule_rows(found)
    of = {(row["rule"], row["dataset"], row["protocol"]): row for row in rows}
    assert len(of) == len(rows) == (10 + 1 + 4) * 5
    for name, method, grace in (
        ("best robustness, epoch 0 left out", "offline", 1),
        ("best robustness, epoch 0 included", "offline", 0),
        ("first peak", "online", 1),
    ):
        for row in rows:
            if row["rule"] == name:
                expected.check(row, method, grace, lambda protocol: (*THESIS, protocol == "frozen"))
    # Of shared/published/README.md.
    for rule, mean, worst, epochs in (
        ("fixed at 5", 0.9690, 0.8671, 5),
        ("fixed at 300", 0.9944, 0.9742, 300),
        ("last checkpoint", 0.9944, 0.9742, 300),
        ("first peak, patience 2", 0.9654, 0.8208, 115),
    ):
        row = of[rule, "all", "all"]
        assert (row["mean"], row["worst"]) == pytest.approx((mean, worst), abs=5e-5)
        assert row["epochs"] == pytest.approx(epochs, abs=0.05)
    assert of["no pretraining", "covid-qu-ex", "frozen"]["mean"] == pytest.approx(0.9146, abs=5e-5)


def _difference(expected: Expected, method: str, first: Callable, second: Callable, protocol: str) -> tuple:
    differences = []
    for one in expected.configurations:
        both = [first(one[1]), second(one[1])]
        if protocol in ("all", one[1]) and all(choice in one[3] for choice in both):
            means = [statistics.fmean(of) for of in one[2]]
            a, b = (means[RULES[method](one[3][choice], 1)[0]] / max(means) for choice in both)
            differences.append(a - b)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return statistics.fmean(differences), error, len(differences)


def _setting(
    distance: str = "cosine", margin: float = 0.5, level: int = -2, pooled: bool | None = None
) -> Callable:
    return lambda protocol: (distance, margin, level, protocol == "frozen" if pooled is None else pooled)


def test_findings_are_paired_differences(expected: Expected, found: list[Curve]) -> None:
    pairs = {
        **{f"cosine minus {d}": (_setting(), _setting(distance=d), "all") for d in ("l2", "pearson")},
        **{
            f"{a:g} minus {b:g}": (_setting(margin=a), _setting(margin=b), "all")
            for a, b in ((0.5, 0.25), (0.5, 0.0), (0.25, 0.0))
        },
        **{f"-2 minus {level}": (_setting(), _setting(level=level), "all") for level in (-1, -3, -4, -5)},
        "frozen, pooled minus not": (_setting(pooled=True), _setting(pooled=False), "frozen"),
        "full, not minus pooled": (_setting(pooled=False), _setting(pooled=True), "fine_tuning"),
    }
    rows = finding_rows(findings(found))
    assert [row["comparison"] for row in rows if row["method"] == "online"] == list(pairs)
    for row in rows:
        numbers = _difference(expected, row["method"], *pairs[row["comparison"]])
        found_numbers = (row["difference"], row["standard_error"], row["configurations"])
        assert found_numbers == pytest.approx(numbers, rel=1e-9, abs=1e-15)
    assert {row["configurations"] for row in rows if row["comparison"] == "-2 minus -5"} == {16}


@pytest.mark.parametrize(
    ("comparisons", "equality", "verdict"),
    [  # (difference, standard error) of each comparison
        ([(0.021, 0.01), (0.3, 0.1)], False, "holds"),
        ([(0.021, 0.01), (0.02, 0.01)], False, "not decided by these data"),
        ([(0.02, 0.01), (-0.02, 0.01)], False, "not decided by these data"),
        ([(0.3, 0.01), (-0.021, 0.01)], False, "does not hold"),
        ([(0.0, 0.0)], False, "not decided by these data"),
        ([(0.1, math.nan)], False, "not decided by these data"),
        ([], False, "not decided by these data"),
        ([(0.0, 0.0), (0.006, 0.002)], True, "holds"),
        ([(0.0, 0.0), (-0.006, 0.003)], True, "not decided by these data"),
        ([(0.0, 0.0), (-0.008, 0.003)], True, "does not hold"),
        ([(0.1, math.nan)], True, "not decided by these data"),
    ],
)
def test_a_finding_is_decided_by_two_standard_errors(comparisons: list, equality: bool, verdict: str) -> None:
    each = [Comparison("a minus b", difference, error, 9) for difference, error in comparisons]
    finding = Finding(number=1, claim="a", comparisons={"offline": each}, claims_equality=equality)
    assert finding.verdict("offline") == verdict


def test_the_command(
    shared: Path,
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    argv = ["ablation.py", "--published", str(shared / "published"), "--output", str(tmp_path / "new/tables")]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(project / "experiments/ablation.py"), run_name="__main__")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for part in (
        "0.9963 ± 0.0011 (0.9924)",
        "(1) cosine is the best distance: offline holds: cosine minus l2 +0.0182 ± 0.0047 (n=24)",
        "(4) pooled is better for frozen",
        "1 of 120",
    ):
        assert part in text, part
    lengths = {}
    for path in (tmp_path / "new/tables").iterdir():
        with path.open(newline="") as file:
            lengths[path.name] = len(list(csv.DictReader(file)))
    assert lengths == {"choices.csv": 3000, "parameters.csv": 340, "rules.csv": 75, "findings.csv": 22}


def _never(*_: object) -> int:
    raise AssertionError("work began")


def test_what_is_not_there_is_one_line_and_exit_code_2(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half/robustness_scores.csv").write_text("dataset\n")
    published = ["--published", str(shared / "published")]
    for arguments, says in (
        (["--published", str(tmp_path / "none")], f"there is no folder {tmp_path / 'none'}"),
        (
            ["--published", str(tmp_path / "half")],
            f"there is no file {tmp_path / 'half/downstream_scores.csv'}",
        ),
        ([*published, "--preset", "dmo"], "unknown preset 'dmo': did you mean 'demo'?"),
        ([*published, "--output", str(tmp_path / "half/robustness_scores.csv")], "cannot be made"),
    ):
        assert verb_that_computes("grid", "Test.", _never, published=_never)(arguments) == 2
        output = capsys.readouterr()
        assert says in output.err
        assert (output.out, output.err.count("\n")) == ("", 1)
    assert verb_that_computes("grid", "Test.", _never)(published) == 2, "the option is not everywhere"
