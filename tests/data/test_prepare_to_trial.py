"""Every target dataset in its owners' format, from files to a trained trial."""

from collections.abc import Callable
from pathlib import Path

import generated_trees
import numpy as np
import pytest

from raytransfer.data.registry import (
    load_target,
    resolve_data,
    target_identity,
    target_problem,
    training_size,
)
from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.data.targets.prepared import prepare
from raytransfer.errors import InputError
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.training import DownstreamTraining
from raytransfer.metrics.segmentation import METRICS
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded
from raytransfer.transferability.indicators.knn import NearestNeighbours
from raytransfer.transferability.indicators.robustness import Robustness
from raytransfer.transferability.scorer import score_encoder

TREES: dict[str, Callable[[Path], Path]] = {
    "acdc": generated_trees.acdc,
    "covid-qu-ex": generated_trees.covid_qu_ex,
    "idrid": generated_trees.idrid,
    "msd/Task04_Hippocampus": generated_trees.decathlon,
    "folder": generated_trees.folder,
}


@pytest.mark.parametrize("name", TREES)
def test_from_files_to_a_trained_trial(tmp_path: Path, name: str) -> None:
    target = TargetSettings(data_root=str(tmp_path / "data"))
    assert "raytransfer prepare" in (target_problem(name, target) or "")
    source = TREES[name](tmp_path / "source")
    prepare(name, source, tmp_path / "data" / name, image_size=32)
    assert target_problem(name, target) is None
    data = load_target(name, target)
    assert training_size(name, target) == (len(data.train), 32)
    with pytest.raises(InputError, match="has no fingerprint"):
        target_identity(name, target)
    _, resolved = resolve_data(SourceSettings(), [name], target)
    assert list(target_identity(name, resolved)) == ["fingerprint"]
    with seeded(0):
        encoder = create_encoder("unet-micro")
    robustness = Robustness(distances=("cosine",), margins=(0.5,), levels=(-2,))
    scores = score_encoder(
        encoder, data.train_images, [robustness, NearestNeighbours()], labels=data.train_labels
    )
    assert all(0 < score.value < 1 for score in scores.values())
    trial = DownstreamTraining(
        "unet-micro", encoder, DownstreamSettings(epochs=1, batch_size=4), data, frozen=False, seed=0
    )
    assert 0 < trial.train_epoch()["train/loss"] < 1
    metrics = trial.evaluate()
    assert set(metrics) == {f"test/{metric}" for metric in METRICS}
    assert 0 <= metrics["test/accuracy"] <= 1
    assert np.isfinite(metrics["test/hd95"])
