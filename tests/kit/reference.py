"""A plain piece of work, to measure against: how fast this machine is at this moment."""

from __future__ import annotations

import heapq
import random
import time


def heap_s(entries: int = 200_000) -> float:
    """Processor seconds for so many entries through a heap and into a dictionary."""
    began_s, rng, heap = time.process_time(), random.Random(1), list[tuple[float, int]]()
    for n in range(entries):
        heapq.heappush(heap, (rng.random(), n))
    seen = {}
    while heap:
        at, n = heapq.heappop(heap)
        seen[n] = at
    return time.process_time() - began_s
