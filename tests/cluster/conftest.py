"""The lab: hosts on this machine, and the cluster that the shipped cluster.yaml makes of them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from grids import Grid
from hosts import Lab, problem
from launcher import Cluster


@pytest.fixture(scope="session")
def lab(project: Path) -> Iterator[Lab]:
    if lacking := problem():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacking)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # what ends this session cleans up
    lab = Lab(project)
    try:
        yield lab
    finally:
        signal.signal(signal.SIGTERM, before)
        lab.remove()
        assert not lab.leftovers()


@pytest.fixture(scope="session")
def hosts(lab: Lab, project: Path) -> Cluster:
    """The hosts with nothing running on them."""
    return Cluster(lab, project)


@pytest.fixture(scope="session")
def cluster(hosts: Cluster) -> Cluster:
    """The cluster, up."""
    for line in ("make install", "ray get-auth-token"):
        hosts.at_home(hosts.page.line(line))
    hosts.up()
    hosts.wait_for("head", "worker1", "worker2")
    return hosts


@pytest.fixture(scope="session")
def undisturbed(cluster: Cluster) -> Grid:
    """A grid that nothing disturbed, from the pretraining on."""
    grid = Grid(cluster, "undisturbed")
    grid.start()
    grid.end(600)
    return grid
