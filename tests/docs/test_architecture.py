"""The example of the architecture page is an indicator that works as it stands there."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded
from raytransfer.transferability.indicators.registry import INDICATORS, read_indicator
from raytransfer.transferability.scorer import merged, score_encoder, score_shard


@pytest.fixture
def added(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's three steps but for the test, in a folder of their own."""
    page = (project / "docs/architecture.md").read_text()
    (file,) = re.findall(r"A file, `raytransfer/transferability/indicators/(\w+)\.py`", page)
    ((name, place, attribute),) = re.findall(r'   `(\w+)="([\w.]+):(\w+)",`', page)
    assert (name, place) == (file, f"raytransfer.transferability.indicators.{file}")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / f"added_{file}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(INDICATORS._entries, name, f"added_{file}:{attribute}")
    yield
    sys.modules.pop(f"added_{file}", None)


def test_the_indicator_that_it_adds(added: None, images: np.ndarray) -> None:
    indicator, labels = read_indicator("between_classes(points=8)"), np.arange(13) % 3
    with seeded(0):
        encoder = create_encoder("unet-micro").eval()
    found = score_encoder(encoder, images, [indicator], labels=labels)
    parts = [
        score_shard(encoder, images, [indicator], labels=labels, batch_size=3, shard=s, num_shards=2)
        for s in range(2)
    ]
    for spec, score in merged(parts).scores()[0].items():
        assert score.value == pytest.approx(found[spec].value, abs=1e-6)
    with torch.inference_mode():
        maps = encoder.forward_levels(torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1))
    for level, score in zip(maps, found.values(), strict=True):
        features = level.mean((2, 3)).double().numpy()
        within = sum(features[labels == c].var(0).sum() * (labels == c).sum() for c in range(3))
        assert score.value == pytest.approx(1 - within / (features.var(0).sum() * 13), abs=1e-5)
