"""Memory that one batch's feature maps leave behind serves the next batch's."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# From malloc.h: parameter of mallopt, the value that never gives memory back, glibc's initial value.
_TRIM_THRESHOLD = (-1, -1, 128 * 1024)
_MMAP_THRESHOLD = (-3, 2**31 - 1, 128 * 1024)


@contextmanager
def kept_freed_memory() -> Iterator[None]:
    """Let the process keep freed memory for the length of a `with` block, and give it back afterwards.

    By default glibc returns the memory of large feature maps to the system after each batch, and the next
    batch pays for having every page mapped and zeroed again: 10 to 20 % of an encoder's time on a CPU. The
    setting is the whole process's, so it belongs into processes that do nothing but score. It has no effect
    where the C library is not glibc, nor on a GPU, where torch keeps memory itself.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    try:
        for parameter, keeping, _ in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(parameter, keeping)
        yield
    finally:
        for parameter, _, initial in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(parameter, initial)
        libc.malloc_trim(0)
