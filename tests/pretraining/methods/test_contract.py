"""What every pretraining scheme, and so every method, promises."""

import io
import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from raytransfer.data.registry import load_source
from raytransfer.data.settings import SourceSettings
from raytransfer.data.sources.augmentation import AUGMENTATIONS
from raytransfer.data.sources.images import ClassificationData
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.methods.base import is_metric
from raytransfer.pretraining.methods.registry import METHODS
from raytransfer.pretraining.schemes import SCHEMES
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.study import Study

RECIPE = PretrainingSettings(epochs=2, series=(0, 2), warmup_epochs=0, batch_size=40, num_workers=1)


def _epochs(training: Pretraining, count: int) -> list[dict[str, float]]:
    return [{**training.train_epoch(), **training.evaluate()} for _ in range(count)]


def _global_generators() -> tuple:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


def test_every_method_has_a_scheme_and_every_scheme_what_it_names() -> None:
    assert {scheme.method for scheme in SCHEMES.values()} == set(METHODS)
    for scheme in SCHEMES.values():
        assert scheme.augmentation in AUGMENTATIONS
        assert Study().options_of(scheme.method) == (scheme.strategy.Options and scheme.strategy.Options())
        assert scheme.strategy.primary_metric.startswith("val/")


def test_names_and_options_are_known_without_torch() -> None:
    code = (
        "import sys; from raytransfer.pretraining.schemes import SCHEMES; "
        "[scheme.strategy.Options for scheme in SCHEMES.values()]; "
        "print({'torch', 'sklearn', 'lightly'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", SCHEMES)
def test_it_measures_trains_and_goes_on_as_if_undisturbed(source: ClassificationData, name: str) -> None:
    method, before = SCHEMES[name].strategy, _global_generators()
    whole = Pretraining("unet-micro", name, RECIPE, source)
    untrained = whole.evaluate()
    assert 0 <= untrained[method.primary_metric] <= 1
    weights = whole.encoder.state_dict()
    weights = {key: value.clone() for key, value in weights.items()}
    first = _epochs(whole, 1)
    assert all(is_metric(key) and np.isfinite(value) for key, value in first[0].items())
    assert {"train/loss", "learning_rate", *untrained} <= first[0].keys()
    assert any(not torch.equal(value, weights[key]) for key, value in whole.encoder.state_dict().items())

    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    second = Pretraining("unet-micro", name, RECIPE, source, loader_workers=1)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert _epochs(second, 1) == _epochs(whole, 1), "resumed, and read by another process"
    assert _global_generators() == before


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    source = load_source(SourceSettings(train_per_class=4, val_per_class=2))
    found = {}
    for name in SCHEMES:
        recipe = replace(RECIPE, num_workers=2, chunk_size=0 if SCHEMES[name].strategy.whole_batch else 10)
        training = Pretraining(
            "swin-micro", name, recipe, source, rank=rank, parallel=DistributedDataParallel
        )
        (metrics,) = _epochs(training, 1)
        weights = sum(float(value.double().abs().sum()) for value in training.module.parameters())
        if rank == 0:
            torch.save(training.state_dict(), f"{folder}/{name}.pt")
        found[name] = [metrics, weights]
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def test_two_processes_train_one_module(source: ClassificationData, tmp_path: Path) -> None:
    """They end with the same weights and metrics, and those of the validation are one process's."""
    multiprocessing.spawn(_worker, args=(str(tmp_path),), nprocs=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    for name, (metrics, _) in first.items():
        alone = Pretraining("swin-micro", name, RECIPE, source)
        alone.load_state_dict(torch.load(tmp_path / f"{name}.pt", weights_only=True))
        assert alone.evaluate() == pytest.approx({key: metrics[key] for key in alone.evaluate()}, abs=1e-5)
    one = Pretraining("swin-micro", "simple", RECIPE, source).train_epoch()
    assert first["simple"][0]["train/loss"] == pytest.approx(one["train/loss"], abs=1e-4), "no batch norm"
