"""A line per phase, so that a long start is never a silent one."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints what is done with the seconds since the beginning and since the line before."""

    def __init__(self) -> None:
        self._began_s = self._last_s = time.monotonic()

    def done(self, phase: str) -> None:
        """One phase is over."""
        now = time.monotonic()
        total_s, phase_s = now - self._began_s, now - self._last_s
        self._last_s = now
        print(f"[{total_s:6.1f} s] +{phase_s:5.1f} s  {phase}", file=sys.stderr, flush=True)

    def starting(self, phase: str) -> None:
        """A phase that may take long is about to begin."""
        print(f"{'':10} {'':8}  {phase} ...", file=sys.stderr, flush=True)
