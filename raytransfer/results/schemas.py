"""The tables of the ledger: one schema per kind of result."""

import pyarrow as pa

from raytransfer.metrics.names import METRICS

_SCORE = pa.struct(
    [
        pa.field("distance", pa.string(), nullable=False),
        pa.field("margin", pa.float64(), nullable=False),
        pa.field("level", pa.int32(), nullable=False),
        pa.field("pooled", pa.bool_(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("standard_error", pa.float64(), nullable=False),
        pa.field("num_images", pa.int32(), nullable=False),
    ]
)

_EPOCH = pa.struct(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # of the trial, from 1
        *(
            pa.field(name, pa.float64(), nullable=False)
            for name in ("train/loss", *(f"test/{metric}" for metric in METRICS))
        ),
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


def _schema(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*_COMMON, *(pa.field(name, kind, nullable=False) for name, kind in fields)])


SCHEMAS: dict[str, pa.Schema] = {
    # One row per pretraining epoch.
    "pretraining": _schema(
        ("pretraining", pa.string()),  # identifies the pretraining the epoch belongs to
        ("source", pa.string()),
        ("encoder_sha256", pa.string()),  # of the encoder after the epoch; empty where it was not kept
        ("train/loss", pa.float64()),
        ("train/top1", pa.float64()),
        ("learning_rate", pa.float64()),
        ("val/loss", pa.float64()),
        ("val/top1", pa.float64()),
        ("val/top5", pa.float64()),
    ),
    # One row per scoring of a checkpoint on a dataset, with every parameter choice's score.
    "robustness": _schema(
        ("dataset", pa.string()),
        ("encoder_sha256", pa.string()),
        ("scores", pa.list_(pa.field("item", _SCORE, nullable=False))),
    ),
    # One row per downstream trial: the metrics after its last epoch, and of every epoch.
    "downstream": _schema(
        ("model", pa.string()),
        ("dataset", pa.string()),
        ("encoder_sha256", pa.string()),
        ("protocol", pa.string()),
        ("seed", pa.int64()),
        *((name, pa.float64()) for name in METRICS),
        ("history", pa.list_(pa.field("item", _EPOCH, nullable=False))),
    ),
}
