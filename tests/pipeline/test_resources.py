"""What can never start on a cluster: tables of nodes and needs, no Ray."""

import pytest

from raytransfer.errors import InputError
from raytransfer.pipeline import resources as room
from raytransfer.pipeline.resources import fits, needs
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.settings import with_overrides
from raytransfer.study import ResourcesSettings, Study

SMALL, LARGE = {"CPU": 2, "memory": 4e9}, {"CPU": 8, "memory": 32e9}
GPU = {**LARGE, "GPU": 1}


def _study(**resources: float) -> Study:
    return Study(resources=ResourcesSettings(**resources))


@pytest.mark.parametrize(
    ("resources", "workers", "nodes", "expected"),
    [
        ({}, (0, 2), [SMALL], (True, True)),
        ({}, (0, 3), [SMALL], (False, True)),
        ({}, (0, 3), [SMALL, SMALL], (True, True)),
        ({"cpus_per_worker": 3}, (0, 1), [SMALL, SMALL], (False, True)),  # enough in all, on no node
        ({"cpus_per_worker": 3}, (0, 2), [SMALL, LARGE], (True, True)),
        ({"gpu_pretraining": True}, (0, 2), [GPU, LARGE], (False, True)),
        ({"gpu_pretraining": True}, (1, 2), [GPU, LARGE], (True, True)),  # elastic
        ({"gpu_pretraining": True, "gpus_per_worker": 0.5}, (0, 1), [GPU], (True, True)),
        ({"memory_per_worker": 3}, (0, 2), [SMALL], (False, True)),
        ({"gpus_per_trial": 0.25}, (0, 2), [LARGE], (True, False)),
        ({"gpus_per_trial": 0.25}, (0, 2), [LARGE, GPU], (True, True)),
        ({"memory_per_trial": 40}, (0, 2), [LARGE, GPU], (True, False)),
        ({}, (0, 1), [], (False, False)),
    ],
)
def test_what_fits(resources, workers, nodes, expected) -> None:
    least, most = workers
    pretraining = PretrainingSettings(num_workers=most, min_workers=least, batch_size=12)
    study = Study(pretraining=pretraining, resources=ResourcesSettings(**resources))
    assert tuple(fits(need, nodes) for need in needs(study)) == expected


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch):
    def cluster(nodes, *, to_come=(), autoscales=False) -> None:
        monkeypatch.setattr(room, "_nodes", lambda: list(nodes))
        monkeypatch.setattr(room, "_nodes_to_come", lambda: list(to_come))
        monkeypatch.setattr(room, "_autoscales", lambda: autoscales)
        monkeypatch.setattr(room, "JOIN_SECONDS", 0)

    return cluster


def test_what_cannot_start_is_said_with_what_is_there(cluster) -> None:
    cluster([SMALL, LARGE])
    with pytest.raises(InputError) as raised:
        room.check_resources(_study(gpus_per_trial=0.5, memory_per_trial=2))
    assert str(raised.value).startswith(
        "a scoring or downstream trial can never start here: resources.*_per_trial: 1 CPUs, 0.5 GPUs, 2 GB "
        "of memory, but the cluster has room for 0 such processes (largest of 2 nodes: 8 CPUs, 32 GB of "
        "memory)"
    )
    with pytest.raises(
        InputError, match=r"a pretraining can never start here: pretraining.num_workers=2 and"
    ):
        room.check_resources(_study(cpus_per_worker=5))


def test_nodes_that_the_cluster_could_start_count(cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster([], to_come=[GPU] * 4, autoscales=True)
    room.check_resources(_study(gpu_pretraining=True, gpus_per_trial=1))
    assert capsys.readouterr().err.count("waits for nodes that the cluster has yet to start") == 2
    with pytest.raises(InputError, match="largest of 4 nodes: 8 CPUs, 1 GPUs"):
        room.check_resources(_study(gpus_per_trial=2))


def test_nodes_of_a_cluster_that_comes_up_are_waited_for(cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster([], autoscales=True)
    answers = iter([[], [], [SMALL]])
    monkeypatch.setattr(room, "_nodes", lambda: next(answers, [SMALL]))
    monkeypatch.setattr(room, "JOIN_SECONDS", 10)
    room.check_resources(_study())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["resources.gpus_per_trial=1.5"], "resources.gpus_per_trial must be a fraction of one, or whole"),
        (["resources.memory_per_trial=-1"], "resources.memory_per_trial must be at least 0"),
        (["resources.gpus_per_worker=0"], "resources.gpus_per_worker must be positive"),
        (
            ["resources.gpu_pretraining=true", "resources.gpus_per_worker=0.5"],
            "resources.gpus_per_worker must be whole with pretraining.num_workers=2, that cannot",
        ),
        (["pretraining.min_workers=3"], "pretraining.min_workers must be between 0 and num_workers=2"),
    ],
)
def test_wrong_resources_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        with_overrides(Study(), overrides)
    assert message in str(raised.value)


def test_a_fraction_of_a_gpu_is_for_a_single_worker() -> None:
    overrides = ["resources.gpu_pretraining=true", "resources.gpus_per_worker=0.5"]
    study = with_overrides(Study(), [*overrides, "pretraining.num_workers=1"])
    assert study.resources.of_worker == {"CPU": 1, "GPU": 0.5}
