"""Torch's process groups over the network that Ray uses.

Gloo takes the address that a host's own name stands for, and Debian and Ubuntu put that on the loopback,
where the other hosts do not find it.
"""

import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any

import ray
from ray.train.backend import Backend
from ray.train.torch import TorchConfig

from raytransfer.runtime.devices import require_cuda

GPU_SETTING = "resources.gpu_pretraining=true"
"""What asks for the GPUs of pretraining workers."""

ASK_FOR_ADDRESS = 0x8915
"""Linux's request SIOCGIFADDR."""


def interface_of(address: str) -> str | None:
    """Return the name of this machine's network interface with an IPv4 address, None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(any_socket, ASK_FOR_ADDRESS, struct.pack("256s", name.encode()))
            except OSError:  # it has no address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None


def _use_ray_network() -> None:
    interface = interface_of(ray.util.get_node_ip_address())
    if interface is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)


_TorchBackend: Any = TorchConfig().backend_cls


class _OverRayNetwork(_TorchBackend):
    """Ray Train's backend for torch, told of the interface before it makes the group."""

    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        """Make the process group.

        Raises:
            RayTaskError: Workers asked for GPUs, and torch can use none on a node: an UnusableGpuError.
        """
        worker_group.execute(_use_ray_network)
        if worker_group.get_resources_per_worker().get("GPU", 0) > 0:  # NCCL would not say what is wrong
            worker_group.execute(require_cuda, GPU_SETTING)
        super().on_start(worker_group, backend_config)


@dataclass
class TorchOverRayNetwork(TorchConfig):
    """Ray Train's settings for torch, with the interface of the node's address."""

    @property
    def backend_cls(self) -> type[Backend]:
        """Return what sets the workers up."""
        return _OverRayNetwork
