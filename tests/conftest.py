from pathlib import Path

import numpy as np
import pytest
import torch

from raytransfer.data.arrays import SegmentationData
from raytransfer.data.registry import load_source, load_target
from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.data.sources.images import ClassificationData
from raytransfer.runtime.environment import prepare_process

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data are not beside this checkout (they are where CI runs)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def process() -> None:
    prepare_process()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def source() -> ClassificationData:
    return load_source(SourceSettings(train_per_class=4, val_per_class=2))


@pytest.fixture(scope="session")
def target() -> SegmentationData:
    return load_target("mni152", TargetSettings(slice_step=10))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (13, 32, 32, 1)).astype(np.float32)
