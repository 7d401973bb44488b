"""The tables of the ledger: one schema per kind of result."""

from typing import Any

import pyarrow as pa

_SCORE = pa.struct(
    [
        pa.field("level", pa.int32()),  # from the end, -1 the deepest; null: the indicator has no level
        pa.field("pooled", pa.bool_()),  # null: no choice of the indicator
        pa.field("options", pa.string(), nullable=False),  # as `ScoreSpec.options_text`
        pa.field("value", pa.float64(), nullable=False),  # higher is better
        pa.field("standard_error", pa.float64()),  # null: the indicator gives none
        pa.field("num_images", pa.int32(), nullable=False),
    ]
)

METRICS_MAP = pa.map_(pa.string(), pa.field("value", pa.float64(), nullable=False))
"""Name -> value: whatever a strategy measures, so that another strategy needs no other columns."""

_STEP = pa.struct(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # step of the evaluation, from 1
        pa.field(
            "metrics", METRICS_MAP, nullable=False
        ),  # "train/loss", "test/<name>" and the protocol's own
    ]
)

_COMMON = [
    pa.field("key", pa.string(), nullable=False),
    pa.field("config", pa.string(), nullable=False),  # resolved settings, JSON
    pa.field("git_sha", pa.string(), nullable=False),
    pa.field("finished_at", pa.timestamp("ms", tz="UTC"), nullable=False),
    pa.field("seconds", pa.float64(), nullable=False),
    pa.field("encoder", pa.string(), nullable=False),
    pa.field("scheme", pa.string(), nullable=False),
    pa.field("epoch", pa.int32(), nullable=False),  # of pretraining
]

SCHEMA_VERSION = 2
"""Version of all schemas, one higher with every change of theirs; files of another one are refused."""


def _schema(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*_COMMON, *(pa.field(name, kind, nullable=False) for name, kind in fields)])


SCHEMAS: dict[str, pa.Schema] = {
    # One row per pretraining epoch.
    "pretraining": _schema(
        ("pretraining", pa.string()),  # identifies the pretraining the epoch belongs to
        ("source", pa.string()),
        ("encoder_sha256", pa.string()),  # of the encoder after the epoch; empty where it was not kept
        ("metrics", METRICS_MAP),  # "learning_rate", and "train/..." and "val/..." as the method names them
    ),
    # One row per indicator of a checkpoint on a dataset, with every parameter choice's score.
    "score": _schema(
        ("dataset", pa.string()),
        ("indicator", pa.string()),
        ("encoder_sha256", pa.string()),
        ("scores", pa.list_(pa.field("item", _SCORE, nullable=False))),
    ),
    # One row per evaluation: the metrics of the test after its last step, and all of every step.
    "evaluation": _schema(
        ("model", pa.string()),
        ("dataset", pa.string()),
        ("encoder_sha256", pa.string()),
        ("protocol", pa.string()),
        ("seed", pa.int64()),
        ("metrics", METRICS_MAP),
        ("history", pa.list_(pa.field("item", _STEP, nullable=False))),
    ),
}


def read_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table of the ledger, maps as dicts."""
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows
