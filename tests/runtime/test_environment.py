import json
import os
import subprocess
import sys

import pytest

from raytransfer.runtime.environment import ENVIRONMENT, prepare_process, without_update_check

IMPORT_ALL = """
import gc, importlib.util, json, os, pkgutil, sys

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.tune.execution.tune_controller import TuneController
from ray.train.torch import TorchTrainer

# What libraries do themselves is not looked at.
for library in ("albumentations", "lightning_fabric", "mlflow", "optuna", "timm", "torchmetrics"):
    if importlib.util.find_spec(library):
        importlib.import_module(library)

def methods():
    return {
        f"{cls.__name__}.{name}": id(value)
        for cls in (RayActorManager, TuneController, TorchTrainer) for name, value in vars(cls).items()
    }

environment, before = dict(os.environ), methods()
import raytransfer
for module in pkgutil.walk_packages(raytransfer.__path__, "raytransfer."):
    importlib.import_module(module.name)
print(json.dumps({
    "environment": sorted(set(environment.items()) ^ set(os.environ.items())),
    "patched": sorted(set(before.items()) ^ set(methods().items())),
    "frozen": gc.get_freeze_count(),
}))
"""


def test_importing_everything_changes_nothing_outside() -> None:
    given = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    given["NO_ALBUMENTATIONS_UPDATE"] = "1"
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, env=given)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"environment": [], "patched": [], "frozen": 0}


def test_a_process_is_prepared_and_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    prepare_process()
    prepare_process()
    assert {name: os.environ[name] for name in ENVIRONMENT} == {
        **ENVIRONMENT,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "77",
    }


@pytest.mark.parametrize("given", [None, "0"])
def test_albumentations_is_kept_from_the_network_only_while_it_is_imported(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "NO_ALBUMENTATIONS_UPDATE"
    monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv(name, given)
    with without_update_check():
        assert os.environ[name] == (given or "1")
    assert os.environ.get(name) == given


WITHOUT_NETWORK = """
import os, socket

asked = []

def refuse(*args, **options):
    asked.append(args)
    raise OSError("there is no network")

socket.socket.connect = socket.getaddrinfo = refuse
import raytransfer.evaluation.augmentation
assert not asked and "NO_ALBUMENTATIONS_UPDATE" not in os.environ
print("quiet")
"""


def test_the_augmentation_is_imported_without_the_network() -> None:
    given = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", WITHOUT_NETWORK], capture_output=True, text=True, env=given)
    assert done.stdout.strip() == "quiet", done.stderr


def test_nothing_is_told_to_others() -> None:
    assert (ENVIRONMENT["RAY_USAGE_STATS_ENABLED"], ENVIRONMENT["MLFLOW_DISABLE_TELEMETRY"]) == ("0", "true")
