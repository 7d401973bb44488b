"""The numbers of the smoke study are those it had before the code was last rebuilt, to the last digit.

`golden_smoke.json` was recorded by the first edition. Sums have other last digits on other processors and
with other versions of torch, and training enlarges the difference: there, only the scores of untrained
encoders are compared, to four digits.
"""

import json
import math
import platform
from pathlib import Path
from typing import Any

import pytest
import torch
from scripts import Done

from raytransfer.results.ledger import Ledger
from raytransfer.results.schemas import read_rows
from raytransfer.results.scores import read_scores
from raytransfer.results.storage import Storage
from raytransfer.transferability.indicators.base import ScoreSpec

pytestmark = pytest.mark.cluster

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden_smoke.json").read_text())


def machine() -> dict[str, str]:
    """What last digits depend on."""
    cpu = Path("/proc/cpuinfo")
    models = [line for line in cpu.read_text().splitlines() if "model name" in line] if cpu.exists() else []
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


def pretraining(ledger: Ledger) -> dict[str, dict[str, float]]:
    return {
        f"{row['encoder']} {row['scheme']} epoch {row['epoch']}": row["metrics"]
        for row in read_rows(ledger.read("pretraining"))
    }


def _name(spec: ScoreSpec) -> str:
    return f"{spec['distance']} level {spec.level} {'pooled' if spec.pooled else 'whole'}"


def score(ledger: Ledger) -> dict[str, dict[str, list[float]]]:
    """Value and standard error of the scores with margin 0.5, and the sums of all."""
    found = {}
    for row in ledger.read("score").to_pylist():
        scores = read_scores(row)
        chosen = {
            _name(spec): [of.value, of.standard_error] for spec, of in scores.items() if spec["margin"] == 0.5
        }
        sums = [
            math.fsum(getattr(of, name) for of in scores.values()) for name in ("value", "standard_error")
        ]
        name = f"{row['encoder']} {row['scheme']} epoch {row['epoch']} on {row['dataset']}"
        found[name] = {**chosen, "all": sums}
    return found


def evaluation(ledger: Ledger) -> dict[str, dict[str, Any]]:
    return {
        f"{row['model']} {row['dataset']} {row['scheme']} epoch {row['epoch']} {row['protocol']} seed "
        f"{row['seed']}": {
            **row["metrics"],
            "train/loss": [step["metrics"]["train/loss"] for step in row["history"]],
        }
        for row in read_rows(ledger.read("evaluation"))
    }


@pytest.mark.parametrize("kind", [pretraining, score, evaluation])
def test_every_value_is_what_it_was(smoke: tuple[Path, Done], kind: Any) -> None:
    found, golden = kind(Storage(smoke[0]).ledger), GOLDEN[kind.__name__]
    assert found.keys() == golden.keys()
    if machine() == GOLDEN["machine"]:
        assert found == golden
    elif kind is score:
        untrained = [name for name in golden if " epoch 0 " in name]
        for name in untrained:
            for spec, values in golden[name].items():
                assert found[name][spec] == pytest.approx(values, rel=1e-4, abs=1e-6), (name, spec)
