"""Hosts and networks that fail in the middle of a grid. What each fault cost goes to RAYTRANSFER_FIGURES."""

import time
from collections.abc import Iterator

import pytest
from figures import record
from grids import TRIALS, Grid, check, without_trials
from hosts import wait_until
from launcher import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture
def grid(cluster: Cluster, undisturbed: Grid, request: pytest.FixtureRequest) -> Iterator[Grid]:
    """A grid under way, on all hosts that are on, three trials finished."""
    on = [host.name for host in (cluster.head, *cluster.workers, cluster.spare) if host.is_on]
    cluster.wait_for(*on)
    grid = without_trials(undisturbed, request.node.name)
    grid.start()
    grid.wait_for(3)
    yield grid
    grid.kill()  # where the test failed
    cluster.head.run("pkill -f experiments/grid.py", check=False)


def _costs(grid: Grid, finished: dict[str, int], *, again: int | None = None) -> dict[str, float]:
    """Return what a fault cost a grid that has ended.

    Args:
        grid: The grid.
        finished: Its rows at the fault.
        again: Number of trials that were begun again; as Tune counts them where None.
    """
    rows = grid.rows()
    again = grid.begun_again() if again is None else again
    replaced = sum(rows.get(key) != at for key, at in finished.items())
    assert replaced == 0, "a finished trial was computed again"
    return {"trials_lost": TRIALS - len(rows), "trials_computed_twice": again}


def test_a_host_gone_and_another_joining(cluster: Cluster, grid: Grid, undisturbed: Grid) -> None:
    finished, lost = grid.rows(), cluster.workers[1]
    lost.power_off()
    cluster.spare.power_on()
    joined = wait_until(lambda: "spare" in cluster.alive(), 240, "the spare host joined")
    noticed = joined + wait_until(lambda: lost.name not in cluster.alive(), 120, "the loss noticed")
    grid.end()
    check(grid, undisturbed)
    costs = _costs(grid, finished)
    record("host gone, another joining", **costs, seconds_to_go_on=noticed, seconds_to_join=joined)
    assert costs["trials_computed_twice"] <= 1
    lost.power_on()  # the autoscaler takes it back


def test_a_host_frozen_and_back(cluster: Cluster, grid: Grid, undisturbed: Grid) -> None:
    finished, frozen = grid.rows(), cluster.workers[0]
    with frozen.frozen():
        noticed = wait_until(lambda: frozen.name not in cluster.alive(), 180, "the frozen host noticed")
    back = wait_until(lambda: frozen.name in cluster.alive(), 240, "the frozen host is back")
    grid.end()
    check(grid, undisturbed)
    record("host frozen until it is given up, and back", **_costs(grid, finished),
           seconds_to_go_on=noticed, seconds_to_rejoin=back)  # fmt: skip


def test_a_network_cut_for_30_seconds(cluster: Cluster, grid: Grid, undisturbed: Grid) -> None:
    finished = grid.rows()
    with cluster.lab.cut(cluster.head, cluster.workers[0]):
        time.sleep(30)
    seconds = grid.wait_for(len(grid.rows()) + 1)
    grid.end()
    check(grid, undisturbed)
    record("network to a worker cut for 30 s", **_costs(grid, finished), seconds_to_go_on=seconds)


def test_the_head_gone_and_up_again(cluster: Cluster, grid: Grid, undisturbed: Grid) -> None:
    workers = [host for host in (*cluster.workers, cluster.spare) if host.is_on]
    titles = ("ray::EvaluationTrial", "ray::ResourceTrainable")  # waiting, and at work
    running = sum(len(host.processes(title)) for host in workers for title in titles)
    began = time.monotonic()
    cluster.head.power_off()
    grid.kill()
    cluster.head.power_on()
    cluster.up()
    cluster.wait_for("head", *(host.name for host in workers))
    nodes = time.monotonic() - began
    finished = grid.rows()
    grid.start()
    grid.wait_for(len(finished) + 1)
    seconds = time.monotonic() - began
    grid.end()
    check(grid, undisturbed)
    record("head gone, `ray up` again", **_costs(grid, finished, again=running),
           seconds_to_go_on=seconds, seconds_to_all_nodes=nodes)  # fmt: skip


def test_mlflow_stopped_for_a_minute(cluster: Cluster, grid: Grid, undisturbed: Grid) -> None:
    finished = grid.rows()
    cluster.at_home(
        cluster.page.line("ray exec cluster.yaml 'raytransfer/experiments/clusters/mlflow_server.sh stop")
    )
    began = time.monotonic()
    seconds = grid.wait_for(len(finished) + 1)
    wait_until(lambda: time.monotonic() - began > 60, 61, "a minute")
    cluster.at_home(
        cluster.page.line("ray exec cluster.yaml 'raytransfer/experiments/clusters/mlflow_server.sh start"),
        seconds=180,
    )
    grid.end()
    costs = _costs(grid, finished)
    grid.start()  # what was missed when the grid ended is delivered by the next command
    grid.end()
    check(grid, undisturbed)
    record("MLflow stopped for a minute", **costs, seconds_to_go_on=seconds)
