"""System metrics with a made-up GPU: there is none where the tests run."""

import threading
import time

import torch

from raytransfer.runtime.gpu_metrics import SYSTEM, gpu_metrics

NAME = f"{SYSTEM}gpu_0_utilization_percentage"


def test_the_means_of_an_epoch() -> None:
    values, taken = [10.0, 20.0, 60.0], threading.Semaphore(0)

    def read(device: torch.device) -> dict[str, float]:
        assert device.type == "cuda"
        if not values:
            time.sleep(60)
        taken.release()
        return {NAME: values.pop(0)}

    with gpu_metrics("cuda", read=read, seconds=0.001) as found:
        for _ in range(3):
            assert taken.acquire(timeout=10)
        time.sleep(0.05)
        assert found == {}
    assert found == {NAME: 30.0}


def test_a_cpu_has_none() -> None:
    with gpu_metrics("cpu", read=lambda device: {NAME: 1.0}) as found:
        pass
    assert found == {}


def test_what_cannot_be_read_is_left_out() -> None:
    def read(device: torch.device) -> dict[str, float]:
        raise ModuleNotFoundError("pynvml")

    with gpu_metrics("cuda", read=read) as found:
        time.sleep(0.01)
    assert found == {}


def test_a_driver_that_hangs_holds_nothing_up() -> None:
    released = threading.Event()
    began = time.monotonic()
    with gpu_metrics("cuda", read=lambda device: {NAME: float(released.wait(30))}) as found:
        pass
    assert (found, time.monotonic() - began < 5) == ({}, True)
    released.set()
