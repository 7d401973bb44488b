"""What is there of checkpoints: named, verified once per command, and loaded as what they are."""

import hashlib
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from raytransfer.models.checkpoints import (
    CorruptCheckpointError,
    ReplacedCheckpointError,
    save_encoder,
)
from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.results.curves import recorded
from raytransfer.results.live import known_encoders
from raytransfer.results.series import is_trainable, series_problem
from raytransfer.results.storage import Storage
from raytransfer.results.units import configurations, evaluation_units, pretraining_units, scoring_units
from raytransfer.statistics.untrained import is_trained_under, share_untrained
from raytransfer.study import Study

STUDY = Study(models=("unet-micro",), pretraining=PretrainingSettings(series=(0, 1), seed=3))
(UNIT,) = pretraining_units(STUDY)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path)
    for epoch in (0, 1):
        path = storage.series("unet-micro", "simple").path(epoch)
        meta = {"epoch": epoch, "scheme": "simple", "pretraining": UNIT.key, "settings": UNIT.settings}
        save_encoder(path, create_encoder("unet-micro"), meta)
    return storage


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counts, file_digest = Counter(), hashlib.file_digest

    def counting(file, name):
        counts[Path(file.name).parent.name] += 1
        return file_digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    return counts


def test_a_file_is_hashed_once_in_a_command(storage: Storage, hashed: Counter) -> None:
    """What pretrain.py, robustness.py, grid.py and report.py ask in one process, one after the other."""
    assert series_problem(UNIT, storage) is None
    assert not is_trainable(UNIT, storage)
    for _ in range(3):
        encoders = storage.catalog.encoders(pretraining_units(STUDY))
        scorings = scoring_units(STUDY, encoders)
        trials = evaluation_units(STUDY, configurations(STUDY), encoders)
        recorded(storage.ledger, scorings, trials)
        known_encoders(UNIT, storage)
    assert (len(scorings), len(trials)) == (2, 2 * 2 * 2)
    assert hashed == {"epoch_0000": 1, "epoch_0001": 1}


def test_what_was_changed_or_made_meanwhile_is_verified(storage: Storage, hashed: Counter) -> None:
    before = storage.catalog.series("unet-micro", "simple")
    path = storage.series("unet-micro", "simple").path(1)
    for epoch in (1, 2):
        new = storage.series("unet-micro", "simple").path(epoch)
        save_encoder(new, create_encoder("unet-micro"), {"epoch": epoch, "scheme": "simple"})
    after = storage.catalog.series("unet-micro", "simple")
    assert hashed == {"epoch_0000": 1, "epoch_0001": 2, "epoch_0002": 1}
    assert after[0] == before[0]
    assert after[1] != before[1]
    with pytest.raises(ReplacedCheckpointError, match="was replaced while the command ran"):
        before[1].load()
    weights = path / "encoder.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(1, 1))
    for read in (lambda: storage.catalog.series("unet-micro", "simple"), after[1].load):
        with pytest.raises(CorruptCheckpointError, match="is corrupt: the SHA-256"):
            read()


def test_a_reference_says_what_a_checkpoint_is(storage: Storage) -> None:
    untrained, trained = storage.catalog.series("unet-micro", "simple").values()
    assert (untrained.scheme, untrained.epoch, trained.scheme, trained.epoch) == (None, 0, "simple", 1)
    assert (trained.encoder, trained.seed) == ("unet-micro", 3)
    assert trained == replace(trained, path=Path("elsewhere")), "where it lies is no part of what it is"
    assert trained.load().name == "unet-micro"
    scorings = scoring_units(STUDY, storage.catalog.encoders([UNIT]))
    assert [unit.checkpoint(storage) for unit in scorings] == [untrained, trained]


def test_the_untrained_encoder_serves_all_schemes() -> None:
    assert [is_trained_under(s, e, ("a", "b")) for s in "ab" for e in (0, 1)] == [True, True, False, True]
    series = {("u", "a"): {0: "x", 1: "y"}, ("u", "b"): {1: "z"}, ("v", "b"): {1: "w"}, ("v", "c"): {}}
    assert share_untrained(series, lambda key: key[0]) == {
        ("u", "a"): {0: "x", 1: "y"}, ("u", "b"): {0: "x", 1: "z"}, ("v", "b"): {1: "w"}, ("v", "c"): {},
    }  # fmt: skip
    assert series["u", "b"] == {1: "z"}, "what was given stays as it is"
