"""The goals of the engine's benchmark, as they are on this machine."""

from __future__ import annotations

from typing import Any

GOALS = {
    "deliveries_per_cpu_s": (">=", 250_000.0),
    "kb_per_stream": ("<=", 4.0),
    "new_streams_per_cpu_s": (">=", 8_000.0),
    "p99_with_mute_over_without": ("<=", 1.2),
}

ASGI_WHERE_THE_GOAL_WAS_SET = 6_250.0
"""What the least ASGI application opened per CPU-second where 8,000 became the goal. Machines,
and the same machine's days, differ by three: on a slower one the goal shrinks as this figure does,
which is taken in the same run (`bench.asgi_reference`: no door, no limits, no ids)."""


def goals(figures: dict[str, Any]) -> dict[str, tuple[str, float]]:
    """The goals on this machine."""
    name = "new_streams_per_cpu_s"
    sense, limit = GOALS[name]
    slower = figures["asgi_new_streams_per_cpu_s"] / ASGI_WHERE_THE_GOAL_WAS_SET
    return {**GOALS, name: (sense, limit * min(1.0, slower))}


def judge(figures: dict[str, Any]) -> dict[str, bool]:
    """Each goal, met or not."""
    return {
        name: figures[name] >= limit if sense == ">=" else figures[name] <= limit
        for name, (sense, limit) in goals(figures).items()
    }
