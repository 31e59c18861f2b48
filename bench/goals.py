"""The goals of the engine's benchmark."""

from __future__ import annotations

from typing import Any, Final

GOALS: Final = {
    "deliveries_per_cpu_s": (">=", 250_000.0),
    "kb_per_stream": ("<=", 4.0),
    "new_streams_over_asgi": (">=", 8_000 / 6_250),
    "p99_with_mute_over_without": ("<=", 1.2),
}
"""New streams: 8,000 per CPU-second where the least ASGI application (`bench.asgi_reference`: no
door, no limits, no ids) opened 6,250. Machines, and the same machine's days, differ by three."""


def judge(figures: dict[str, Any]) -> dict[str, bool]:
    """Each goal, met or not."""
    return {
        name: figures[name] >= limit if sense == ">=" else figures[name] <= limit
        for name, (sense, limit) in GOALS.items()
    }
