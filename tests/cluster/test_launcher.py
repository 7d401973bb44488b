"""The shipped launcher file: what the lab changes in it, and that every machine it names joins."""

import difflib
from pathlib import Path

import pytest
import yaml
from launcher import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_only_the_three_lines_to_edit_differ_from_the_shipped_file(hosts: Cluster, project: Path) -> None:
    shipped = (project / "cluster.yaml").read_text()
    derived = (hosts.laptop.home / "raytransfer/cluster.yaml").read_text()
    lines = list(difflib.ndiff(shipped.splitlines(), derived.splitlines()))
    gone, new = ([line[2:] for line in lines if line.startswith(sign)] for sign in ("- ", "+ "))
    starts = ("auth: {", "  head_ip: ", "  worker_ips: ")
    assert [line.startswith(start) for line, start in zip(gone, starts, strict=True)] == [True] * 3
    assert [line.startswith(start) for line, start in zip(new, starts, strict=True)] == [True] * 3
    assert shipped.count("# EDIT") == 3
    assert "auth_token" in shipped
    assert not (set(yaml.safe_load(shipped)) ^ set(yaml.safe_load(derived)))


def test_every_node_joins_and_the_head_takes_no_work(cluster: Cluster) -> None:
    nodes = cluster.ask("/api/v0/nodes?detail=1")["data"]["result"]["result"]
    cpus = {
        node["node_ip"]: node["resources_total"].get("CPU", 0) for node in nodes if node["state"] == "ALIVE"
    }
    assert cpus == {
        cluster.head.address: 0, **{worker.address: 1 for worker in cluster.workers},
    }  # fmt: skip
