"""Grids on the cluster, started from the laptop."""

import subprocess
import urllib.request

import pytest
from grids import Grid, check, without_trials
from hosts import wait_until
from launcher import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def test_trials_run_on_the_workers(cluster: Cluster, undisturbed: Grid) -> None:
    assert cluster.head.address not in undisturbed.addresses()
    assert len(undisturbed.addresses()) > 1
    assert not undisturbed.begun_again()


def test_a_job_submitted_through_the_tunnel(cluster: Cluster, undisturbed: Grid) -> None:
    grid = without_trials(undisturbed, "job")
    tunnel = subprocess.Popen(
        cluster.laptop.command(cluster.page.line("ssh -i").replace("-N", "-N -o StrictHostKeyChecking=no")),
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        probe = "curl -s http://127.0.0.1:8265 && curl -s -f http://127.0.0.1:5000/health"
        wait_until(lambda: cluster.laptop.run(probe, check=False).returncode == 0, 30, "the tunnel")
        cluster.at_home(cluster.page.line("ray job submit"))

        def status() -> str:
            return cluster.at_home(cluster.page.line("ray job status")).stdout.lower()

        wait_until(
            lambda: "succeeded" in (said := status()) or "failed" in said, 400, "the job's end", every=5
        )
        said = cluster.at_home(cluster.page.line("ray job logs")).stdout
        assert "succeeded" in status(), said
        assert "Transferability indicator score" in said
    finally:
        cluster.laptop.run("pkill -f 8265:", check=False)
        tunnel.wait()
    check(grid, undisturbed)
    page = urllib.request.urlopen(f"http://{cluster.head.address}:5000").read().decode()
    assert "<title>MLflow</title>" in page
