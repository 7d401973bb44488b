"""The lab: hosts on this machine, and the cluster that the shipped cluster.yaml makes of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Lab, problem
from launcher import Cluster


@pytest.fixture(scope="session")
def lab(project: Path) -> Iterator[Lab]:
    if lacking := problem():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacking)
    lab = Lab(project)
    try:
        yield lab
    finally:
        lab.remove()
        assert not lab.leftovers()


@pytest.fixture(scope="session")
def hosts(lab: Lab, project: Path) -> Cluster:
    """The hosts with nothing running on them."""
    return Cluster(lab, project)


@pytest.fixture(scope="session")
def cluster(hosts: Cluster) -> Cluster:
    """The cluster, up."""
    hosts.at_home("ray get-auth-token --generate")
    hosts.up()
    hosts.wait_for("head", "worker1", "worker2")
    return hosts
