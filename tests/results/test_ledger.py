import hashlib
import math
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raytransfer.errors import InputError
from raytransfer.results.ledger import CHECKSUM, VERSION, DamagedLedgerError, Ledger, OtherSchemaError
from raytransfer.results.provenance import result_row
from raytransfer.results.schemas import SCHEMAS, read_rows
from raytransfer.results.storage import Storage


def _row(key: str = "a-1", **changes: object) -> dict:
    row = result_row(
        key=key, settings={"seed": 0}, seconds=1.5, encoder="unet-micro", scheme="simple", epoch=2,
        pretraining="unet-micro-simple-0", source="photographs", encoder_sha256="",
        metrics={"train/loss": 1.0, "learning_rate": 0.1, "val/top1": 0.5},
    )  # fmt: skip
    return {**row, **changes}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.read("pretraining").num_rows == 0
    rows = [_row(key, epoch=epoch) for key, epoch in (("b-2", 2), ("a-1", 1), ("c-3", 3))]
    for row in rows:
        assert not ledger.has("pretraining", row["key"])
        ledger.append("pretraining", row)
        assert ledger.has("pretraining", row["key"])
    read = ledger.read("pretraining").to_pylist()
    assert [row["key"] for row in read] == ["a-1", "b-2", "c-3"]
    assert [row["epoch"] for row in read] == [1, 2, 3]
    assert read[0]["finished_at"].tzinfo is not None
    assert [r["key"] for r in ledger.read("pretraining", ["c-3", "none", "a-1"]).to_pylist()] == [
        "c-3",
        "a-1",
    ]
    ledger.check()


def test_metrics_of_any_name_come_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    measured = [
        {"val/knn_top1": 0.1 + 0.2, "train/loss": -0.5},
        {},
        {"a metric that nobody foresaw": math.inf},
    ]
    for number, metrics in enumerate(measured):
        ledger.append("pretraining", _row(f"row-{number}", metrics=metrics))
    assert [row["metrics"] for row in read_rows(ledger.read("pretraining"))] == measured
    with pytest.raises(ValueError, match="does not fit its schema"):
        ledger.append("pretraining", _row(metrics={"val/top1": "high"}))


def test_what_another_version_wrote_is_refused_in_one_line(tmp_path: Path) -> None:
    """A row as the first version wrote it, and one of a version to come."""
    row = {name: value for name, value in _row().items() if name != "metrics"} | {"val/top1": 0.5}
    table = pa.Table.from_pylist([row])
    for written, version in (({}, "1"), ({VERSION: b"3"}, "3")):
        content = written.get(VERSION, b"") + repr(table.to_pylist()).encode()
        checksum = hashlib.sha256(content).hexdigest()
        ledger = Ledger(tmp_path / version)
        path = ledger.path("pretraining", "a-1")
        path.parent.mkdir(parents=True)
        pq.write_table(table.replace_schema_metadata({CHECKSUM: checksum.encode(), **written}), path)
        for read in (lambda ledger=ledger: ledger.read("pretraining"), ledger.check):
            with pytest.raises(OtherSchemaError, match=f"schema {version}, this one has 2") as raised:
                read()
            assert "\n" not in str(raised.value)


def test_kinds_that_are_no_more_are_those_of_another_version(tmp_path: Path, monkeypatch) -> None:
    storage = Storage(tmp_path)
    (tmp_path / "results" / "robustness").mkdir(parents=True)
    monkeypatch.delitem(SCHEMAS, "robustness", raising=False)
    with pytest.raises(OtherSchemaError, match=r"results/robustness was written by another version"):
        storage.check()


def test_the_same_key_is_one_result(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append("pretraining", _row())
    ledger.append("pretraining", _row(epoch=7))
    assert [row["epoch"] for row in ledger.read("pretraining").to_pylist()] == [7]
    assert len(list((tmp_path / "pretraining").iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "unknown \\['extra'\\]"),
        ({"epoch": None}, "no value in columns \\['epoch'\\]"),
        ({"epoch": "two"}, "does not fit its schema"),
        ({"key": "../a"}, "key must be"),
        ({"key": "a/b"}, "key must be"),
        ({"key": ""}, "key must be"),
        ({"key": ".hidden"}, "key must be"),
    ],
)
def test_wrong_rows_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ledger(tmp_path).append("pretraining", _row(**change))


def test_missing_columns_and_unknown_kinds_are_named(tmp_path: Path) -> None:
    row = _row()
    del row["epoch"]
    with pytest.raises(ValueError, match="lacks columns \\['epoch'\\]"):
        Ledger(tmp_path).append("pretraining", row)
    with pytest.raises(InputError, match="did you mean 'pretraining'"):
        Ledger(tmp_path).read("pretrainings")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(os.urandom(500)),
        lambda path: path.write_bytes((path.parent / "c-3.parquet").read_bytes()),
    ],
    ids=["empty", "torn", "noise", "another key's"],
)
def test_a_damaged_file_is_named_and_the_others_are_read(tmp_path: Path, damage) -> None:
    ledger = Ledger(tmp_path)
    for key in ("a-1", "b-2", "c-3"):
        ledger.append("pretraining", _row(key))
    damage(ledger.path("pretraining", "b-2"))
    assert [row["key"] for row in ledger.read("pretraining").to_pylist()] == ["a-1", "c-3"]
    with pytest.raises(DamagedLedgerError) as raised:
        ledger.check()
    message = str(raised.value)
    assert str(ledger.path("pretraining", "b-2")) in message
    assert "other 2 results are intact" in message
    assert "a-1" not in message


def test_a_flipped_bit_never_changes_a_result(tmp_path: Path) -> None:
    """Anywhere in the file: the row is refused and named, or it is the row that was written."""
    ledger = Ledger(tmp_path)
    ledger.append("pretraining", _row())
    (written,) = ledger.read("pretraining").to_pylist()
    path = ledger.path("pretraining", "a-1")
    content = path.read_bytes()
    refused = 0
    for position in range(0, len(content), 31):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        read = ledger.read("pretraining").to_pylist()
        assert read in ([], [written]), position
        if not read:
            refused += 1
            with pytest.raises(DamagedLedgerError, match=r"a-1\.parquet"):
                ledger.check()
    assert refused > len(content) // 31 // 4


def _write_forever(root: Path) -> None:
    ledger = Ledger(root)
    number = 0
    while True:
        ledger.append("pretraining", _row(f"row-{number:06d}", seconds=math.pi))
        number += 1


def test_a_writer_killed_at_any_moment_leaves_whole_rows_only(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=_write_forever, args=(tmp_path,))
    writer.start()
    while len(list(tmp_path.glob("pretraining/*.parquet"))) < 40:
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    ledger = Ledger(tmp_path)
    ledger.check()
    assert ledger.read("pretraining").num_rows == len(list(tmp_path.glob("pretraining/*.parquet")))
