import socket

import pytest

from raytransfer.ray_train.interface import interface_of


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", "lo"), ("203.0.113.9", None)],
    ids=["the loopback's", "nobody's"],
)
def test_interface_of_an_address(address: str, expected: str | None) -> None:
    assert interface_of(address) == expected
    assert expected is None or expected in {name for _, name in socket.if_nameindex()}
