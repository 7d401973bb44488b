"""The report: every number against a second computation from the published files, and what a page must be."""

import csv
import itertools
import math
import statistics
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from raytransfer.metrics.segmentation import METRICS


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def published(report, open_page, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    folder = tmp_path_factory.mktemp("published") / "new"
    argv = ["--published", str(shared / "published"), "--output", str(folder)]
    assert report.main(argv) == 0
    return folder, open_page(folder / "report.html")


EPOCHS = (0, 1, 5, 20, 50, 100, 150, 200, 250, 300)
MODELS = {
    "basic U-Net": ("unet", "u-net_encoder", 5),
    "ResNet50 Attention U-Net": ("resnet50-attention-unet", "resnet50", 5),
    "Swin U-Net": ("swin-unet", "swin_transformer", 4),
}
DATASETS = {"ACDC": ("acdc", "ACDC"), "COVIDQUDataset": ("covid-qu-ex", "COVID-QU")}
PROTOCOLS = {"False": "fine_tuning", "True": "frozen"}


class Expected:
    """(model, dataset, scheme, protocol) -> Dice by epoch and seed; and the thesis's scores by epoch."""

    def __init__(self, folder: Path) -> None:
        seeds: dict = defaultdict(dict)
        self.rows = {tuple(row.values()): row for row in read(folder / "downstream_scores.csv")}.values()
        for row in self.rows:
            key = (row["model"], row["dataset"], row["pretraining scheme"], row["freeze encoder"])
            dice = float(row["dice index"] or row["mean dice index"])
            seeds[(*key, int(row["pretraining length"]))][row["seed"]] = dice
        scores = {
            (
                *(row[k] for k in ("dataset", "encoder", "pretraining_scheme", "metric", "margin", "level")),
                row["pooled"],
                int(row["pretraining_length"]),
            ): 1 - float(row["robustness"])
            for row in read(folder / "robustness_scores.csv")
        }
        self.dice, self.scores = {}, {}
        for theirs, dataset, scheme, frozen in itertools.product(
            MODELS, DATASETS, ("simple", "advanced"), PROTOCOLS
        ):
            (model, encoder, levels), (ours, scored) = MODELS[theirs], DATASETS[dataset]
            key = (model, ours, scheme, PROTOCOLS[frozen])
            self.dice[key] = [
                list(seeds[theirs, dataset, "simple" if e == 0 else scheme, frozen, e].values())
                for e in EPOCHS
            ]
            self.scores[key] = {
                (metric, float(margin), level, pooled): [
                    scores[scored, encoder, f"{scheme}_training", metric, margin, str(levels + 1 + level),
                           pooled, e]
                    for e in EPOCHS
                ]
                for metric in ("cosine_distance", "l2_loss", "inv_pearson_corr")
                for margin in ("0.0", "0.25", "0.5", "0.75", "1.0")
                for level in range(-levels, 0)
                for pooled in PROTOCOLS
            }  # fmt: skip

    def mean(self, key: tuple) -> list[float]:
        return [statistics.fmean(of) for of in self.dice[key]]

    def tis(self, key: tuple, epoch: int) -> float:
        return self.mean(key)[EPOCHS.index(epoch)] / max(self.mean(key))

    def thesis(self, key: tuple) -> list[float]:
        return self.scores[key]["cosine_distance", 0.5, -2, "True" if key[3] == "frozen" else "False"]


def best(scores: list[float], first: int = 1) -> int:
    return EPOCHS[scores.index(max(scores[first:]), first)]


def peak(scores: list[float], first: int = 1) -> int:
    falls = (i for i in range(first + 1, len(scores)) if scores[i] <= scores[i - 1])
    return EPOCHS[next(falls, len(scores)) - 1]


@pytest.fixture(scope="module")
def expected(shared: Path) -> Expected:
    return Expected(shared / "published")


def test_performance_tables(published: tuple, expected: Expected) -> None:
    folder, page = published
    pick = {
        "fully_pretrained": lambda means: len(means) - 1,
        "best_checkpoint": lambda means: means.index(max(means)),
        "worst_checkpoint": lambda means: means.index(min(means)),
    }
    for name, position in pick.items():
        shown = page.table(name)
        rows = read(folder / f"tables/{name}.csv")
        assert (len(shown), len(rows)) == (8, 24)
        for row in rows:
            key = (row["model"], row["dataset"], row["scheme"], row["protocol"])
            at = position(expected.mean(key))
            seeds = expected.dice[key][at]
            assert int(row["epoch"]) == EPOCHS[at]
            assert int(row["seeds"]) == len(seeds)
            assert float(row["dice"]) == pytest.approx(statistics.fmean(seeds))
            assert float(row["standard_deviation"]) == pytest.approx(statistics.stdev(seeds))
        for line in shown:
            for model in (names[0] for names in MODELS.values()):
                key = (model, line["dataset"].text, line["scheme"].text, line["protocol"].text)
                means = expected.mean(key)
                assert line[model].number == pytest.approx(means[position(means)])
                assert f"epoch {EPOCHS[position(means)]}" in line[model].text
    for line in page.table("worst_over_best"):
        for model in (names[0] for names in MODELS.values()):
            means = expected.mean((model, line["dataset"].text, line["scheme"].text, line["protocol"].text))
            assert line[model].number == pytest.approx(min(means) / max(means))
    scratch = page.table("from_scratch")
    assert len(scratch) == 4
    for line in scratch:
        for model in (names[0] for names in MODELS.values()):
            means = expected.mean((model, line["dataset"].text, "simple", line["protocol"].text))
            assert line[model].number == pytest.approx(means[0])


def test_indicators_by_dataset_and_by_model(published: tuple, expected: Expected) -> None:
    folder, page = published
    rules = {
        "no pretraining": lambda key: 0,
        **{f"fixed at {e}": lambda key, e=e: e for e in EPOCHS[1:]},
        "last checkpoint": lambda key: 300,
        "best source accuracy": lambda key: 300,
        "best robustness, epoch 0 left out": lambda key: best(expected.thesis(key)),
        "best robustness, epoch 0 included": lambda key: best(expected.thesis(key), 0),
        "first peak": lambda key: peak(expected.thesis(key)),
    }
    for by, position in (("dataset", 1), ("model", 0)):
        table = {line["choice"].text: line for line in page.table(f"indicators_by_{by}")}
        assert set(rules) | {"first peak, patience 2"} == set(table)
        for name, choose in rules.items():
            groups = defaultdict(list)
            for key in expected.dice:
                tis = expected.tis(key, choose(key))
                groups[f"{key[position]}, {key[3]}"].append(tis)
                groups["all"].append(tis)
            for group, of in groups.items():
                error = statistics.stdev(of) / math.sqrt(len(of))
                assert table[name][group].number == pytest.approx(statistics.fmean(of)), (name, group)
                assert f"± {error:.4f}, worst {min(of):.4f}" in table[name][group].text
        rows = read(folder / f"tables/indicators_by_{by}.csv")
        assert len(rows) == len(table) * (len(groups))
    # The numbers that came with the tables.
    printed = {
        "best robustness, epoch 0 left out": ("0.9963", "0.9970", "0.9945", "0.9885"),
        "first peak": ("0.9814", "0.9464", "0.9690", "0.9518"),
        "last checkpoint": ("0.9986", "0.9909", "0.9961", "0.9919"),
        "no pretraining": ("0.9650", "0.9085", "0.9661", "0.9146"),
    }
    table = {line["choice"].text: line for line in page.table("indicators_by_dataset")}
    groups = ("acdc, fine_tuning", "acdc, frozen", "covid-qu-ex, fine_tuning", "covid-qu-ex, frozen")
    for name, numbers in printed.items():
        assert tuple(table[name][group].children[0].strip() for group in groups) == numbers
    side = page.table("imagenet_accuracy")
    shown = [[line[name].text.strip() for name in list(line)[2:]] for line in side]
    assert shown == [
        [thesis, last, last]
        for thesis, last in zip(("0.982", "0.950", "0.982", "0.953"), printed["last checkpoint"], strict=True)
    ]


def test_every_parameter_choice_and_each_varied(published: tuple, expected: Expected) -> None:
    _, page = published
    names = {"cosine": "cosine_distance", "l2": "l2_loss", "pearson": "inv_pearson_corr"}
    table = page.table("choices")
    assert len(table) == 150
    for line in table:
        choice = (
            names[line["distance"].text.strip()], float(line["margin"].text), int(line["level"].text),
            {"yes": "True", "no": "False"}[line["pooled"].text.strip()],
        )  # fmt: skip
        for column, rule in (("offline", best), ("online", peak), ("offline: acdc, fine_tuning", best)):
            of = [
                expected.tis(key, rule(scores[choice]))
                for key, scores in expected.scores.items()
                if choice in scores
                and (column.count(":") == 0 or (key[1], key[3]) == ("acdc", "fine_tuning"))
            ]
            assert line[column].number == pytest.approx(statistics.fmean(of)), (choice, column)
    varied = {(line["parameter"].text.strip(), line["value"].text.strip()): line
              for line in page.table("parameters")}  # fmt: skip
    assert len(varied) == 3 + 5 + 5 + 4
    for distance, theirs in names.items():
        of = [
            expected.tis(key, best(s[theirs, 0.5, -2, "True" if key[3] == "frozen" else "False"], 0))
            for key, s in expected.scores.items()
        ]
        assert varied["distance", distance]["offline, epoch 0 too"].number == pytest.approx(
            statistics.fmean(of)
        )


def test_stopping_rules(published: tuple) -> None:
    _, page = published
    table = {line["rule"].text.strip(): line for line in page.table("stopping_rules")}
    for rule, mean, worst, epochs in (
        ("fixed-budget(epochs=20)", 0.9778, 0.8350, 20),
        ("fixed-budget(epochs=300)", 0.9944, 0.9742, 300),
        ("first-peak(patience=1)", 0.9622, 0.8208, 22.3),
        ("first-peak(patience=2)", 0.9654, 0.8208, 115),
        ("plateau on l2(margin=1, level=-4, pooled=never)", 0.9943, 0.9798, 76.7),
    ):
        seen = tuple(table[rule][name].number for name in ("mean TIS", "worst", "epochs"))
        assert seen == (
            pytest.approx(mean, abs=5e-5),
            pytest.approx(worst, abs=5e-5),
            pytest.approx(epochs, abs=0.05),
        )
    words = page.by_id("stopping").text
    for part in ("found on the very tables", "+0.0052", "+0.0047"):
        assert part in words


def test_what_figures_show(published: tuple, expected: Expected) -> None:
    folder, page = published
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert figures == {path.stem for path in (folder / "figures").glob("*.csv")}
    assert figures == {
        "performance_acdc", "performance_covid_qu_ex", "scores_acdc", "scores_covid_qu_ex", "chosen_epochs",
        "frontier", "pretraining", "metric_agreement",
    }  # fmt: skip
    for name in figures:
        assert ET.parse(folder / f"figures/{name}.svg").getroot().tag.endswith("svg")
        assert page.by_id(name).find("svg")
    for row in read(folder / "figures/scores_acdc.csv"):
        key = (row["model"], row["dataset"], row["scheme"], row["protocol"])
        at = EPOCHS.index(int(row["epoch"]))
        assert float(row["dice"]) == pytest.approx(expected.mean(key)[at])
        assert float(row["robustness"]) == pytest.approx(expected.thesis(key)[at])
        assert row["standard_error"] == "", "was not published"
        assert (row["chosen"] == "True") == (best(expected.thesis(key)) == EPOCHS[at])
    for row in read(folder / "figures/performance_covid_qu_ex.csv"):
        key = (row["model"], row["dataset"], row["scheme"], row["protocol"])
        seeds = expected.dice[key][EPOCHS.index(int(row["epoch"]))]
        assert float(row["dice"]) == pytest.approx(statistics.fmean(seeds))
        assert float(row["standard_deviation"]) == pytest.approx(statistics.stdev(seeds))
    for row in read(folder / "figures/chosen_epochs.csv"):
        key = (row["model"], row["dataset"], row["scheme"], row["protocol"])
        means, scores = expected.mean(key), expected.thesis(key)
        assert int(row["best"]) == EPOCHS[means.index(max(means))]
        assert int(row["best robustness, epoch 0 left out"]) == best(scores)
        assert int(row["first peak"]) == peak(scores)
    accuracy = {
        (row["model"], row["pretraining scheme"], row["pretraining length"]): row["ImageNet accuracy"]
        for row in expected.rows
    }
    encoders = {names[1].split("_")[0].replace("u-net", "unet"): theirs for theirs, names in MODELS.items()}
    for row in read(folder / "figures/pretraining.csv"):
        at = (encoders[row["encoder"]], row["scheme"], row["epoch"])
        assert float(row["val/top1"]) == float(accuracy[at])


def test_metric_agreement(published: tuple, expected: Expected) -> None:
    folder, _ = published
    theirs = {"dice": "dice index", "jaccard": "jaccard index", "hd95": "modified hausdorff distance",
              "auroc": "area under roc", "accuracy": "accuracy", "mcc": "mcc"}  # fmt: skip
    seen = {(r["dataset"], r["first"], r["second"]): r for r in read(folder / "figures/metric_agreement.csv")}
    assert len(seen) == 2 * len(METRICS) ** 2
    for dataset, (ours, _) in DATASETS.items():
        rows = [row for row in expected.rows if row["dataset"] == dataset]
        for first, second in itertools.combinations(theirs, 2):
            pairs = []
            for row in rows:
                pair = [row[theirs[n]] or row.get(f"mean {theirs[n]}", "") for n in (first, second)]
                if all(text and math.isfinite(float(text)) for text in pair):
                    pairs.append([float(text) for text in pair])
            row = seen[ours, first, second]
            assert int(row["trainings"]) == len(pairs)
            if pairs:
                ranks = [rankdata(of) for of in zip(*pairs, strict=True)]
                assert float(row["spearman"]) == pytest.approx(np.corrcoef(*ranks)[0, 1])
            else:
                assert row["spearman"] == ""


def test_the_answer_in_words_and_numbers(published: tuple, expected: Expected) -> None:
    folder, page = published
    text = " ".join(page.by_id("answer").text.split())
    assert "the scores of epochs 0 and 300 are exactly equal in all 840 series" in text
    rows = read(folder / "tables/answer_by_configuration.csv")
    assert len(rows) == 24
    for row in rows:
        key = (row["model"], row["dataset"], row["scheme"], row["protocol"])
        epoch = best(expected.thesis(key))
        assert int(row["best_robustness_epoch_0_left_out_epoch"]) == epoch
        tis = expected.tis(key, epoch)
        assert float(row["best_robustness_epoch_0_left_out_tis"]) == pytest.approx(tis)
        low, high = (float(row[f"best_robustness_epoch_0_left_out_tis_{end}"]) for end in ("low", "high"))
        assert low <= high <= 1
        assert low <= tis + 1e-3
        assert 0 < float(row["best_share"]) <= 1
    groups = itertools.groupby(
        sorted(expected.dice, key=lambda key: (key[1], key[0], key[3] != "fine_tuning")),
        key=lambda key: (key[1], key[0], key[3]),
    )
    titles = page.by_id("answer").find("dt")
    takes = [dd.find("strong")[0].text for dd in page.by_id("answer").find("dd")]
    assert len(titles) == len(takes) == 12
    for (_, keys), take in zip(groups, takes, strict=True):
        key = max(keys, key=lambda key: max(expected.mean(key)))
        epoch = EPOCHS[int(np.argmax(expected.mean(key)))]
        assert take == (f"Take epoch {epoch} ({key[2]})" if epoch else "Take the untrained encoder")
    ways = {line["choice"].text: line for line in page.table("ways")}
    for epoch in EPOCHS[1:-1]:
        mean = statistics.fmean(expected.tis(key, epoch) for key in expected.dice)
        assert ways[f"fixed at {epoch}"]["mean TIS"].number == pytest.approx(mean)


def test_the_page_needs_nothing_else(published: tuple) -> None:
    folder, page = published
    assert (folder / "report.html").stat().st_size < 5e6
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        assert element.tag not in {"img", "iframe", "object", "embed"}
        for name in ("src", "href", "action", "srcset"):
            link = element.attributes.get(name, "data:")
            local = link.startswith("#") and link[1:] in ids
            beside = link.startswith("figures/") and (folder / link).exists()
            assert local or beside or link.startswith("data:"), (element.tag, link)
    style = "".join(e.text for e in page.elements if e.tag == "style")
    assert "prefers-color-scheme: dark" in style
    for outside in ("@import", "url(http", "@font-face"):
        assert outside not in style
    assert "http" not in "".join(e.text for e in page.elements if e.tag == "script").replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_without_a_folder_it_says_so(report: Callable, shared: Path, capsys) -> None:
    argv = ["--published", str(shared / "published")]
    assert report.main(argv) == 2
    assert "--output DIR is needed" in capsys.readouterr().err
