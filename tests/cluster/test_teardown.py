"""After everything else."""

import base64
import http.client
import os
import re

import pytest
from hosts import wait_until
from launcher import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_mlflow_asks_for_a_password(cluster: Cluster) -> None:
    server = "raytransfer/experiments/clusters/mlflow_server.sh"
    cluster.head.run(f"MLFLOW_AUTH=on {server} start", seconds=180)
    password = re.search("admin_password = (.*)", (cluster.head.home / "mlflow/auth.ini").read_text())
    statuses = []
    for credentials in ("", "admin:wrong", f"admin:{password[1]}"):
        connection = http.client.HTTPConnection(cluster.head.address, 5000, timeout=10)
        basic = base64.b64encode(credentials.encode()).decode()
        headers = {"Authorization": f"Basic {basic}"} if credentials else {}
        connection.request("GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers=headers)
        statuses.append(connection.getresponse().status)
    assert statuses == [401, 401, 200]


def test_ray_down_leaves_nothing(cluster: Cluster) -> None:
    cluster.at_home(cluster.page.line("ray down"))
    assert not cluster.head.work()
    for host in cluster.workers:
        wait_until(lambda host=host: not host.work(), 200, f"nothing left on {host.name}")


def test_every_command_of_the_page_was_run(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    if request.session.testscollected < 15 and os.environ.get("CI") != "true":
        pytest.skip("only a part of the lab's tests runs")
    assert not cluster.page.unused
