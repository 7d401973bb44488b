"""Whether a Ray cluster answers, asked before Ray connects and writes its log."""

import socket
import time
from collections.abc import Iterator

import pytest
import ray

from raytransfer.errors import InputError
from raytransfer.pipeline import cluster
from raytransfer.pipeline.cluster import check_address


@pytest.fixture
def deaf() -> Iterator[str]:
    """Who listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_who_listens_but_is_no_head_node_is_named_in_time(
    deaf: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 2.0)
    began = time.monotonic()
    with pytest.raises(InputError) as raised:
        check_address(deaf)
    assert str(raised.value) == (
        f"--address {deaf}: no Ray cluster answers there (no answer of a head node in 2 s)"
    )
    assert time.monotonic() - began < 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "--address must be host:port or auto, got 'nowhere'"),
        (":6379", "--address must be host:port or auto, got ':6379'"),
        ("127.0.0.1:0", "--address must be host:port or auto, got '127.0.0.1:0'"),
        ("127.0.0.1:71915", "--address must be host:port or auto, got '127.0.0.1:71915'"),
        ("ray://", "--address must be host:port or auto, got 'ray://'"),
        ("..:6379", "--address ..:6379: no Ray cluster answers there (encoding with 'idna' codec failed"),
    ],
)
def test_what_is_no_address_is_named(address: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        check_address(address)
    assert str(raised.value).startswith(message)


@pytest.mark.cluster
def test_a_head_node_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    # As wherever this process starts Ray: what it reads of this at first holds for all its clusters.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        check_address(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()
