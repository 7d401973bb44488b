"""Commands run as a person runs them, disturbed, and what must be true of their storage afterwards."""

import atexit
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mlflow import MlflowClient
from scripts import Done, begin

from raytransfer.models.checkpoints import CheckpointSeries
from raytransfer.results.evaluations import read_metrics
from raytransfer.results.ledger import Ledger

SMALL = ("--set", "models=unet-micro", "--set", "source.train_per_class=32")
EPOCHS = 8


class Command:
    """A script in its own session, with files for what it says."""

    def __init__(self, script: str, storage: Path, *options: str, **environment: str) -> None:
        self._began = time.monotonic()
        self._files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115 (they last as long as it)
        out, err = self._files
        self.process = begin(script, storage, *options, out=out, err=err, **environment)

    def said(self) -> list[str]:
        for file in self._files:
            file.seek(0)
        return [file.read() for file in self._files]

    def end(self, seconds: float = 480) -> Done:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return Done(code, *self.said(), time.monotonic() - self._began)

    def kill(self) -> None:
        """As `kill -9` of the script alone: what Ray started notices and ends."""
        self.process.kill()
        self.process.wait()

    def wait_for(self, holds: Callable[[], object], seconds: float = 480) -> float:
        """Wait until something holds; return how long it took."""
        began = time.monotonic()
        while not holds():
            assert self.process.poll() is None, (self.process.returncode, *self.said())
            if time.monotonic() - began > seconds:
                self.kill()
                raise AssertionError(self.said())
            time.sleep(0.05)
        return time.monotonic() - began

    def descendants(self, name: str) -> list[int]:
        """Ray's processes below the script with this in their title, the oldest first."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, _, rest = stat.read_text().partition(" ")
                parents[int(pid)] = int(rest.rpartition(")")[2].split()[1])
            except OSError:
                continue
        found = []
        for pid in parents:
            above = pid
            while above in parents and above != self.process.pid:
                above = parents[above]
            try:
                title = Path(f"/proc/{pid}/cmdline").read_text()
                if above == self.process.pid and title.startswith("ray::") and name in title:
                    found.append(pid)
            except OSError:
                continue
        return sorted(found)

    def wait_for_descendants(self, name: str) -> list[int]:
        """Wait until there are some of those; return them."""
        found: list[int] = []
        self.wait_for(lambda: found.extend(self.descendants(name)) or found)
        return found


def run(script: str, storage: Path, *options: str, **environment: str) -> Done:
    return Command(script, storage, *options, **environment).end()


def rows(storage: Path, kind: str) -> list[Path]:
    return sorted(storage.glob(f"results/{kind}/*.parquet"))


def written(storage: Path, kind: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in rows(storage, kind)}


def weights(storage: Path) -> dict[int, str]:
    return CheckpointSeries(storage / "pretraining/unet-micro/simple").fingerprints()


def dices(storage: Path) -> dict[str, float]:
    found = read_metrics(Ledger(storage / "results"), None)
    return {key: metrics["dice"] for key, metrics in found.items()}


def shown(storage: Path, kind: str, metric: str) -> dict[str, tuple[str, list[int]]]:
    """Key -> how its MLflow run ended, and the steps at which a metric is there."""
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name(f"raytransfer-{kind}").experiment_id])
    units = [run for run in found if "raytransfer.key" in run.data.tags]
    keys = [run.data.tags["raytransfer.key"] for run in units]
    assert len(set(keys)) == len(keys), "two runs of one unit"
    return {
        key: (run.info.status, [m.step for m in client.get_metric_history(run.info.run_id, metric)])
        for key, run in zip(keys, units, strict=True)
    }


@cache
def undisturbed() -> Path:
    """A grid of one encoder that nothing disturbed; its pretraining is `SMALL`."""
    storage = Path(tempfile.mkdtemp(prefix="undisturbed-"))
    atexit.register(shutil.rmtree, storage)
    done = run("grid", storage, *SMALL)
    assert done.code == 0, done.err
    return storage


def copy_encoders(storage: Path) -> None:
    """Begin with the encoders of `undisturbed` and their scores."""
    for folder in ("pretraining", "results/pretraining", "results/score"):
        shutil.copytree(undisturbed() / folder, storage / folder)


def check_pretraining(storage: Path) -> None:
    """Every epoch is once in the ledger and in MLflow, and the encoders are those of `undisturbed`."""
    Ledger(storage / "results").check()
    assert len(rows(storage, "pretraining")) == EPOCHS
    (found,) = shown(storage, "pretraining", "val/top1").values()
    assert found == ("FINISHED", list(range(1, EPOCHS + 1)))
    assert weights(storage) == weights(undisturbed()), "not the encoders of an undisturbed pretraining"


def check_grid(storage: Path) -> None:
    """Every trial is once in the ledger and in MLflow, with the numbers of `undisturbed`."""
    Ledger(storage / "results").check()
    assert dices(storage) == dices(undisturbed())
    found = shown(storage, "evaluation", "test/dice")
    assert found == dict.fromkeys(dices(storage), ("FINISHED", [1, 2]))
