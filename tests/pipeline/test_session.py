from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from raytransfer.errors import WorkFailedError
from raytransfer.pipeline.session import Session
from raytransfer.results.storage import Storage
from raytransfer.study import Study

REASON = "ValueError: {'a': 1} and {} are no numbers"


def _finish(storage: Storage, kind: str) -> int:
    session = Session(study=Study(), storage=storage, tracker=Mock())
    return session.finish([SimpleNamespace(kind=kind, key="key")])


def test_a_reason_is_said_as_it_is(tmp_path: Path, capsys) -> None:
    storage = Storage(tmp_path)
    storage.failures.record("evaluation", "key", "unet on acdc", REASON, details="all of it")
    assert _finish(storage, "evaluation") == 1
    assert f"failed: unet on acdc: {REASON} ({tmp_path}/failed/evaluation/key.txt)" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "work"), [("pretraining", "pretraining"), ("score", "scoring")])
def test_what_others_need_is_an_error(tmp_path: Path, kind: str, work: str) -> None:
    storage = Storage(tmp_path)
    storage.failures.record(kind, "key", "unet", REASON, details="all of it")
    with pytest.raises(WorkFailedError) as raised:
        _finish(storage, kind)
    assert str(raised.value).startswith(f"{work} unet failed: {REASON} (")
