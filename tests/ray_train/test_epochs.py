"""A pretraining whose every epoch is scored, in this process: what it reports and what the ledger keeps."""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from raytransfer.data.arrays import SegmentationData
from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import InputError
from raytransfer.models.checkpoints import load_encoder, read_meta
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.ray_train.epochs import read_state, train_unit
from raytransfer.results.live import live_curves, scored_epochs, target_names, target_scores
from raytransfer.results.schemas import read_rows
from raytransfer.results.scores import read_scores
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit, pretraining_units
from raytransfer.scheduling.judgements import judge
from raytransfer.scheduling.replay import replay
from raytransfer.scheduling.rules import FirstPeak
from raytransfer.statistics.signals import Signal, read_signal
from raytransfer.study import Study
from raytransfer.transferability.indicators.base import Score, ScoreSpec
from raytransfer.transferability.scorer import score_encoder

STUDY = Study(
    models=("resnet-unet-micro",),
    source=SourceSettings(train_per_class=4, val_per_class=2),
    target=TargetSettings(slice_step=10),
    pretraining=PretrainingSettings(epochs=3, series=(0, 3), warmup_epochs=1, batch_size=20, num_workers=1),
)
UNIT = PretrainingUnit(study=STUDY, encoder="resnet-micro", scheme="simple")
SIGNAL = Signal()
FULL, FROZEN = "robustness/mni152/fine_tuning", "robustness/mni152/frozen"


class Killed(Exception):
    pass


@pytest.fixture
def train(source: ClassificationData, target: SegmentationData):
    def train(storage: Storage, *, killed_at: int | None = None, live: bool = True) -> list[dict]:
        kept, reports = storage.root / "state", []
        state = read_state(kept) if kept.exists() else None

        def report(metrics: dict, folder: Path | None) -> None:
            reports.append(metrics)
            if metrics["epoch"] == killed_at:
                raise Killed
            if folder is not None:
                shutil.copytree(folder, kept, dirs_exist_ok=True)

        training = Pretraining(UNIT.encoder, UNIT.scheme, UNIT.recipe, source)
        targets = {"mni152": target.train_images} if live else {}
        with contextlib.suppress(Killed):
            train_unit(UNIT, training, storage, targets, SIGNAL, num_processes=1, state=state, report=report)
        return reports

    return train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return Storage(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def reports(train, whole: Storage) -> list[dict]:
    return train(whole)  # after the first time, from the last epoch: no report


def test_every_epoch_is_scored_as_score_encoder_does(
    reports, whole: Storage, target: SegmentationData
) -> None:
    assert [report["epoch"] for report in reports] == [0, 1, 2, 3]
    series, staging = whole.series("resnet-micro", "simple"), whole.staging(UNIT.key)
    assert (series.epochs(), staging.epochs()) == ([0, 3], [1, 2])
    scored = scored_epochs(UNIT, whole, SIGNAL)
    for report in reports:
        epoch = report["epoch"]
        encoder, meta = load_encoder((series if epoch in (0, 3) else staging).path(epoch))
        (scoring,) = UNIT.scorings(epoch, meta["encoder_sha256"])
        alone = scoring.chosen_scores(score_encoder(encoder, target.train_images))
        for name, pooled in ((FULL, False), (FROZEN, True)):
            assert report[name] == pytest.approx(alone[pooled].value, abs=1e-6)
            assert report[f"{name}_standard_error"] == pytest.approx(alone[pooled].standard_error, abs=1e-6)
        assert report["robustness"] == pytest.approx(fmean([report[FULL], report[FROZEN]]))
        assert scored[epoch] == {name: v for name, v in report.items() if name.startswith("robustness")}
    assert {"val/top1", "train/loss"} <= reports[1].keys()


def test_curves_are_read_back(whole: Storage) -> None:
    curves = live_curves(UNIT, whole)
    assert list(curves) == target_names(STUDY) == [FULL, FROZEN]
    for name, curve in curves.items():
        assert [epoch for epoch, *_ in curve] == [0, 1, 2, 3]
        (judgement,) = [of for of in judge(live_curves(UNIT, whole), FirstPeak) if of.target == name]
        replayed = replay(FirstPeak(), curve)
        assert (judgement.epoch, judgement.selected_epoch) == (
            replayed.stopped_epoch,
            replayed.selected_epoch,
        )
        assert judgement.score == dict((e, s) for e, s, _ in curve)[judgement.selected_epoch]


def test_a_rule_may_follow_other_scores(whole: Storage) -> None:
    signal = read_signal("l2(margin=1, level=-4, pooled=never)")
    curves = live_curves(UNIT, whole, signal)
    assert curves[FULL] == curves[FROZEN], "never pooled"
    assert curves != live_curves(UNIT, whole)
    (scoring,) = UNIT.scorings(3, whole.series("resnet-micro", "simple").fingerprints()[3])
    (row,) = whole.ledger.read("score", [scoring.key]).to_pylist()
    wanted = read_scores(row)[ScoreSpec.parse("robustness(distance=l2, margin=1, level=-4, pooled=false)")]
    assert curves[FULL][3][:2] == (3, wanted.value)
    with pytest.raises(InputError, match=r"is not scored by cosine\(margin=0.3, .*one of robustness.margins"):
        live_curves(UNIT, whole, signal=Signal().varied(margin=0.3))


def test_killed_it_goes_on_and_scores_every_epoch_once(train, whole: Storage, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    assert [r["epoch"] for r in train(storage, killed_at=2)] == [0, 1, 2]  # its state was not kept
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("results/*/*0001*.parquet")}
    assert [r["epoch"] for r in train(storage)] == [2, 3]
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert live_curves(UNIT, storage) == live_curves(UNIT, whole)
    assert storage.ledger.read("score").num_rows == 4
    assert storage.ledger.read("pretraining").num_rows == 3


def test_where_scores_are_missing_it_starts_over(train, whole: Storage, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    assert [r["epoch"] for r in train(storage, killed_at=2, live=False)] == [1, 2]
    assert live_curves(UNIT, storage) == {FULL: [], FROZEN: []}
    assert [of.epoch for of in judge(live_curves(UNIT, storage), FirstPeak)] == [None, None]
    assert [r["epoch"] for r in train(storage)] == [0, 1, 2, 3]
    assert live_curves(UNIT, storage) == live_curves(UNIT, whole)


def test_the_mean_is_over_targets_and_a_missing_standard_error_is_left_out() -> None:
    (scoring,) = UNIT.scorings(1, "a")
    scores = {
        SIGNAL.choice("resnet-micro", "frozen"): Score(0.75, None, 9),
        SIGNAL.choice("resnet-micro", "fine_tuning"): Score(0.25, 0.1, 9),
    }
    assert target_scores([(scoring, scores)], SIGNAL) == {
        "robustness": 0.5, FULL: 0.25, f"{FULL}_standard_error": 0.1, FROZEN: 0.75,
    }  # fmt: skip


def test_what_a_method_without_labels_measures_is_kept(source: ClassificationData, tmp_path: Path) -> None:
    recipe = replace(STUDY.pretraining, epochs=1, series=(0, 1), warmup_epochs=0, batch_size=40)
    study = replace(STUDY, schemes=("simsiam",), pretraining=recipe)
    (unit,) = pretraining_units(study)
    storage, reports = Storage(tmp_path), []
    training = Pretraining(unit.encoder, unit.scheme, unit.recipe, source)
    train_unit(
        unit, training, storage, {}, SIGNAL, num_processes=1, state=None,
        report=lambda metrics, folder: reports.append(metrics),
    )  # fmt: skip
    (row,) = read_rows(storage.ledger.read("pretraining"))
    measured = row["metrics"]
    assert measured.keys() == {"train/loss", "learning_rate", "val/knn_top1", "val/projection_std"}
    assert reports == [{"epoch": 1, **measured}]
    meta = read_meta(storage.series(unit.encoder, "simsiam").path(1))
    assert meta["metrics"] == {name: measured[name] for name in ("val/knn_top1", "val/projection_std")}
