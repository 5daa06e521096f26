"""Freed memory stays with the process: a training step asks for the same again a moment later."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Numbers of the parameters in the C library's malloc.h."""
NEVER, LARGEST = 2**31 - 1, 32 * 2**20
"""Free memory at the heap's end that is given back, and the most that the library lets it serve, in bytes."""
TWO_HEAPS = 128 * 2**20
"""Bytes asked for at once. A thread's heap of 64 MiB is given back where the one before has less than this
left, so never; what nobody touches is no memory, only addresses."""


def keep_heap() -> bool:
    """Tells the GNU C library not to give freed memory back to the system and fetch it again in every step.

    By default it may return the end of its heap after each large free, and a recurrent network's backward
    pass frees tens of megabytes a step. Whether it does depends on what happens to lie behind them, so that
    one process pays for thousands of page faults an epoch and the next, running the same, for none: a third
    of the time of a small model. Threads have heaps of their own, which go back whole: so does marking a file
    with two of them. Tensors above 32 MiB are still asked of the system directly.

    It holds for the whole process, until its end. Where the environment says how memory is to be managed
    (``MALLOC_…``, ``GLIBC_TUNABLES``) nothing is changed.

    Returns:
        Whether the library was told; false under another C library.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    ):
        return False
    if not _is_glibc():
        return False
    library = ctypes.CDLL(None)
    wanted = ((TRIM_THRESHOLD, NEVER), (MMAP_THRESHOLD, LARGEST), (TOP_PAD, TWO_HEAPS))
    return all(bool(library.mallopt(name, value)) for name, value in wanted)


def _is_glibc() -> bool:
    try:
        return "glibc" in (os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (AttributeError, ValueError, OSError):  # no such function, name or answer on other systems
        return False
