"""Who gets in, and from where."""

import http.client
import socket

import pytest
from launcher import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

DASHBOARD, MLFLOW, RAY = 8265, 5000, 6379
CONNECT = (
    "python -c \"import ray; ray.init('auto', log_to_driver=False); "
    "print(ray.get(ray.remote(num_cpus=0)(lambda: 'in').remote()))\""
)
TOKENS = {"none": "RAY_AUTH_MODE=disabled", "wrong": f"RAY_AUTH_TOKEN={'0' * 64}"}


def _status(address: str, port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    connection.request("GET", path, headers=headers)
    return connection.getresponse().status


def test_with_the_token_one_is_in(cluster: Cluster) -> None:
    assert cluster.head.run(CONNECT).stdout.strip() == "in"
    assert cluster.page.line("ray exec cluster.yaml 'ray status'")
    assert "Active" in cluster.at_home(cluster.page.line("ray exec cluster.yaml 'ray status'")).stdout


@pytest.mark.parametrize("token", TOKENS)
def test_without_the_token_one_is_not(cluster: Cluster, token: str) -> None:
    done = cluster.head.run(f"{TOKENS[token]} timeout 60 {CONNECT}", check=False)
    assert done.returncode != 0
    assert "in" not in done.stdout.split()
    assert "uthentication" in done.stderr or "AuthToken" in done.stderr or "token" in done.stderr, done.stderr


@pytest.mark.parametrize("token", TOKENS)
def test_no_node_joins_without_the_token(cluster: Cluster, token: str) -> None:
    before = cluster.alive()
    line = f"{TOKENS[token]} timeout 60 ray start --address={cluster.head.address}:{RAY}"
    assert cluster.at_home(line, check=False).returncode != 0
    assert cluster.alive() == before
    cluster.at_home("ray stop")


def test_the_dashboard_takes_nothing_without_the_token(cluster: Cluster) -> None:
    address = cluster.head.address
    for headers in ({}, {"Authorization": f"Bearer {'0' * 64}"}):
        for path in ("/api/jobs/", "/api/v0/nodes"):
            assert _status(address, DASHBOARD, path, **headers) in (401, 403)
    assert cluster.ask("/api/jobs/") is not None


def test_nothing_listens_on_another_address(cluster: Cluster) -> None:
    for port in (DASHBOARD, MLFLOW):
        socket.create_connection((cluster.head.address, port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((cluster.head.outside, port), timeout=5)


def test_mlflow_answers_under_its_own_names_only(cluster: Cluster) -> None:
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert _status(cluster.head.address, MLFLOW, path) == 200
    assert _status(cluster.head.address, MLFLOW, path, Host="elsewhere.example") == 403
