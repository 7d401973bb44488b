import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from raytransfer.transferability.freed_memory import kept_freed_memory

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.zeros(4_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

with kept_freed_memory():
    faults()  # until the heap has its size
    kept = faults()
    inside = resident()
print(kept, inside - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is tested is a setting of glibc")
def test_freed_memory_is_used_again_without_page_faults_and_given_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    kept, given_back = map(int, done.stdout.split())
    assert kept < 0.1 * 20 * 16_000_000 / 4096
    assert given_back > 12_000_000
