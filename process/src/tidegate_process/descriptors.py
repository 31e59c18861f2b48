"""File descriptors: each connection is one, and a process that has none left answers nothing.

A server cannot see that it is out of them (libuv accepts and closes in silence), so the end of the
supply is never reached. POSIX gives a new descriptor the lowest free number; a connection with a
number near the limit is one too many, whatever uses the others.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import Final

RESERVE: Final = 256
"""Kept from the streams: admin and publish connections, broker, listeners, files."""

LEAST: Final = 48
"""A process without a connection has some twenty open: listeners, the loop, pipes, the broker."""

LAST: Final = 8
"""Kept from all connections: a token or certificate that is read again."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """How the process's `limit` is shared out. Numbers, not counts: see the module."""

    limit: int

    @property
    def reserve(self) -> int:
        """What streams may not use; a third where there are few, but what a process needs."""
        return min(RESERVE, max(LEAST, self.limit // 3))

    @property
    def for_streams(self) -> int:
        """The most streams that can be held."""
        return max(1, self.limit - self.reserve)

    @property
    def below_public(self) -> int:
        """The first number that is too high for the port of the streams."""
        return self.limit - self.reserve // 2

    @property
    def below_own(self) -> int:
        """The first number that is too high for the other ports."""
        return self.limit - min(LAST, self.reserve // 2)


def raise_descriptor_limit() -> Descriptors:
    """Take what the system allows: a login shell's 1,024 are few. Returns what there is."""
    import resource

    allowed, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        allowed = hard
    return Descriptors(sys.maxsize if allowed == resource.RLIM_INFINITY else allowed)
