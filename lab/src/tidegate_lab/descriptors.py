"""Enough file descriptors for many streams on one machine: a login shell's 1,024 are few."""

from __future__ import annotations

import contextlib
import resource

from tidegate.contract.errors import SettingsError

SPARE_DESCRIPTORS = 256
"""What a process has open beside its streams: pipes, listeners, libraries, logs."""


def raise_descriptor_limit(streams: int, option: str) -> None:
    """Take what the system allows, for this process and its children; each stream is one.

    Raises `SettingsError` that names `option` where that is too little for `streams` in one
    process: half of the clients would fail to connect, and the figures would mean nothing.
    """
    allowed, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        allowed = hard
    needed = streams + SPARE_DESCRIPTORS
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise SettingsError(
            option,
            f"{needed} file descriptors are needed in one process and the system allows {allowed}; "
            "ask for fewer, or raise the hard limit (ulimit -Hn)",
        )
