"""Entering another network namespace with the calling thread (setns(2)).

Threads and processes started inside belong to it for good; sockets stay where they were made.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000


@contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """The calling thread is in `namespace` (a ``/proc/PID/ns/net``) until the block ends.

    Raises `OSError` where that is not allowed (it takes root).
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _set(home)
    finally:
        os.close(home)


def _set(descriptor: int) -> None:
    """`os.setns` exists from Python 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
