"""After everything else: `ray down`."""

import pytest
from hosts import wait_until
from launcher import Cluster

pytestmark = pytest.mark.lab


def test_ray_down_leaves_nothing(cluster: Cluster) -> None:
    cluster.at_home("ray down -y cluster.yaml")
    for host in (cluster.head, *cluster.workers):
        wait_until(lambda host=host: not host.work(), 180, f"nothing left on {host.name}")
