"""How a GPU is used while something trains on it, under the names by which MLflow shows system metrics."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

SYSTEM = "system/"
"""What the names begin with."""
SAMPLING_SECONDS = 1.0

_log = logging.getLogger(__name__)


def read_gpu(device: torch.device) -> dict[str, float]:
    """Return what NVIDIA's driver says of a GPU now.

    Utilisation and memory are those of the whole device, of which other trials may have a part. It is always
    called gpu_0: a trial has one.

    Raises:
        ModuleNotFoundError: The package nvidia-ml-py is not installed.
        RuntimeError: The driver does not answer.
    """
    used, whole = torch.cuda.device_memory_used(device), torch.cuda.get_device_properties(device).total_memory
    return {
        f"{SYSTEM}gpu_0_utilization_percentage": float(torch.cuda.utilization(device)),
        f"{SYSTEM}gpu_0_memory_usage_megabytes": used / 1e6,
        f"{SYSTEM}gpu_0_memory_usage_percentage": 100 * used / whole,
        f"{SYSTEM}gpu_0_power_usage_watts": torch.cuda.power_draw(device) / 1000,
    }


@contextmanager
def gpu_metrics(
    device: str | torch.device,
    *,
    read: Callable[[torch.device], Mapping[str, float]] = read_gpu,
    seconds: float = SAMPLING_SECONDS,
) -> Iterator[dict[str, float]]:
    """Sample a GPU in a thread during a `with` block; the dictionary given has the means at its end.

    It stays empty on a CPU, and where the GPU cannot be read. The block is never waited for: a driver that
    hangs holds up only the thread.

    Args:
        device: Where the block computes.
        read: Returns the metrics of a device.
        seconds: Between two samples; the first is taken at once.
    """
    gpu, over = torch.device(device), threading.Event()
    means: dict[str, float] = {}
    samples: list[Mapping[str, float]] = []

    def sample() -> None:
        try:
            samples.append(read(gpu))
            while not over.wait(seconds):
                samples.append(read(gpu))
        except Exception as error:  # an epoch without system metrics is an epoch all the same
            _log.debug("%s is not sampled: %s", gpu, error)

    if gpu.type == "cpu":
        yield means
        return
    threading.Thread(target=sample, name="gpu-metrics", daemon=True).start()
    try:
        yield means
    finally:
        over.set()
    taken = list(samples)
    if taken:
        means.update({name: sum(of[name] for of in taken) / len(taken) for name in taken[0]})
