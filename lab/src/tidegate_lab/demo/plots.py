"""The plots of a rollout as SVG: streams per pod, and reconnects per second against the budget.

Every mode is one panel, and all panels share their axes, so that heights and lengths compare by
eye. Colours are CSS variables that follow the reader's light or dark mode. A panel needs no script
and no other file; the report embeds panels, `combined` makes one picture of them all.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tidegate.score.measures import StreamChange
from tidegate_lab.rollout import Measured

BEFORE_S = 5.0
"""Seconds of calm that are shown before the rollout."""

STEP_S = 0.25
"""Lines have one point per step: finer than the eye at this size, and a bound on the file."""

STYLE = """
.tg{--ink:#1f2933;--soft:#52606d;--grid:#d9dee4;--old:#9a6b1f;--new:#1769aa;--bar:#7b8794;
--limit:#b3261e;--ground:#fff;color-scheme:light dark}
@media (prefers-color-scheme:dark){.tg{--ink:#e4e7eb;--soft:#9fb0c0;--grid:#364450;--old:#e0b060;
--new:#6cb8f0;--bar:#8896a5;--limit:#ff8a80;--ground:#12181f}}
.tg text{fill:var(--soft);font:12px system-ui,sans-serif}.tg .title{fill:var(--ink);font-size:14px;
font-weight:600}.tg .grid{stroke:var(--grid)}.tg .old,.tg .new{fill:none;stroke-width:1.6}
.tg .old{stroke:var(--old);stroke-dasharray:4 3}.tg .new{stroke:var(--new)}.tg .bar{fill:var(--bar)}
.tg .limit{stroke:var(--limit);stroke-width:1.5;stroke-dasharray:7 4}
"""

_WIDTH, _LEFT, _RIGHT = 420, 46, 10
_TOP, _LINES, _BETWEEN, _BARS, _BOTTOM = 40, 190, 34, 120, 40
HEIGHT = _TOP + _LINES + _BETWEEN + _BARS + _BOTTOM
_TICKS = 4
_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10)


@dataclass(frozen=True, slots=True)
class Axes:
    """The ranges that all panels share: seconds, streams on one pod, reconnects in one second."""

    end_s: float
    streams: float
    per_s: float


def shared_axes(measured: Sequence[Measured], budget_per_s: float) -> Axes:
    """Ranges that hold every rollout of `measured` and the budget."""
    end_s, streams, per_s = 1.0, 1, math.ceil(budget_per_s)
    for one in measured:
        for times, counts in streams_over_time(
            one.seen.stream_changes, one.seen.started_s
        ).values():
            end_s, streams = max(end_s, times[-1]), max(streams, *counts)
        seconds, moves = per_second(one.seen.arrivals_s, one.seen.started_s)
        end_s, per_s = max(end_s, seconds[-1] + 0.5), max(per_s, *moves)
    return Axes(end_s, _nice(streams), _nice(per_s))


def panel(one: Measured, axes: Axes, budget_per_s: float) -> str:
    """One rollout as the content of an SVG of `_WIDTH` by `HEIGHT` units."""
    seen = one.seen
    title = f'<text class="title" x="{_LEFT}" y="14">{escape(one.run.mode)}</text>'
    upper = _frame(_TOP, _LINES, axes.streams, "streams on each pod")
    lower_at = _TOP + _LINES + _BETWEEN
    lower = _frame(lower_at, _BARS, axes.per_s, "reconnects per second")
    lines = "".join(
        f'<path class="{"new" if pod in seen.new_pods else "old"}" '
        f'd="{_steps(times, counts, axes)}"><title>{escape(pod)}</title></path>'
        for pod, (times, counts) in streams_over_time(seen.stream_changes, seen.started_s).items()
    )
    seconds, moves = per_second(seen.arrivals_s, seen.started_s)
    bars = "".join(
        _bar(second, count, lower_at, axes) for second, count in zip(seconds, moves, strict=True)
    )
    level = _y(budget_per_s, lower_at, _BARS, axes.per_s)
    limit = f'<path class="limit" d="M{_LEFT} {level}H{_WIDTH - _RIGHT}"/>'
    return title + upper + lines + lower + bars + limit + _seconds(axes)


def svg(content: str, width: int, height: int, label: str, *, standalone: bool = False) -> str:
    """An SVG element; `label` is its text alternative. `standalone` makes a file of its own."""
    name = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
    style = f"<style>{STYLE}</style>" if standalone else ""
    ground = '<rect width="100%" height="100%" style="fill:var(--ground)"/>' if standalone else ""
    return (
        f'<svg{name} class="tg" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {width} {height}">{style}{ground}{content}</svg>'
    )


def panels(measured: Sequence[Measured], budget_per_s: float) -> list[str]:
    """One SVG element per rollout, all on the same axes."""
    axes = shared_axes(measured, budget_per_s)
    return [svg(panel(one, axes, budget_per_s), _WIDTH, HEIGHT, _label(one)) for one in measured]


def combined(measured: Sequence[Measured], budget_per_s: float) -> str:
    """All rollouts side by side as one SVG file with its legend."""
    axes = shared_axes(measured, budget_per_s)
    content = "".join(
        f'<g transform="translate({index * _WIDTH} 0)">{panel(one, axes, budget_per_s)}</g>'
        for index, one in enumerate(measured)
    )
    legend = f'<g transform="translate({_LEFT} {HEIGHT})">{_legend()}</g>'
    label = "; ".join(_label(one) for one in measured)
    return svg(content + legend, _WIDTH * len(measured), HEIGHT + 24, label, standalone=True)


def streams_over_time(
    changes: Sequence[StreamChange], start_s: float
) -> dict[str, tuple[list[float], list[int]]]:
    """Per pod the moments and the streams held from then on, from shortly before the start."""
    lines: dict[str, tuple[list[float], list[int]]] = {}
    counts: Counter[str] = Counter()
    for change in changes:
        counts[change.pod] += change.delta
        times, held = lines.setdefault(change.pod, ([-BEFORE_S], [0]))
        at_s = round(change.at_s - start_s, 3)
        if at_s <= -BEFORE_S:
            held[0] = counts[change.pod]
        else:
            times.append(at_s)
            held.append(counts[change.pod])
    if changes:
        end_s = round(changes[-1].at_s - start_s, 3)
        for times, held in lines.values():
            times.append(max(end_s, times[-1]))
            held.append(held[-1])
    return lines


def per_second(arrivals_s: Sequence[float], start_s: float) -> tuple[list[float], list[int]]:
    """Reconnects in each whole second since the start; the middle of the second and the count."""
    counts = Counter(int((at_s - start_s) // 1) for at_s in arrivals_s)
    seconds = range(min(counts, default=0), max(counts, default=0) + 1)
    return [second + 0.5 for second in seconds], [counts[second] for second in seconds]


def _label(one: Measured) -> str:
    _, moves = per_second(one.seen.arrivals_s, one.seen.started_s)
    return f"{one.run.mode}: up to {max(moves)} reconnects in one second"


def _nice(most: float) -> float:
    """The least round number above `most`: `_TICKS` steps of one of `_STEPS`, scaled by ten."""
    step = most / _TICKS
    power = 10.0 ** math.floor(math.log10(max(step, 1.0)))
    return _TICKS * next(n * power for n in _STEPS if n * power >= step)


def _x(at_s: float, axes: Axes) -> float:
    share = (at_s + BEFORE_S) / (axes.end_s + BEFORE_S)
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, top: int, height: int, most: float) -> float:
    return round(top + height * (1 - value / most), 1)


def _frame(top: int, height: int, most: float, caption: str) -> str:
    parts = [f'<text x="{_LEFT}" y="{top - 6}">{caption}</text>']
    for tick in range(_TICKS + 1):
        value = most * tick / _TICKS
        y = _y(value, top, height, most)
        parts.append(f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    return "".join(parts)


def _steps(times: Sequence[float], counts: Sequence[int], axes: Axes) -> str:
    """A step line: the count at each moment of the grid, drawn where it changes."""
    path, last = "", None
    for index in range(math.ceil((times[-1] + BEFORE_S) / STEP_S) + 1):
        at_s = index * STEP_S - BEFORE_S
        count = counts[max(0, bisect_right(times, at_s) - 1)]
        x, y = _x(min(at_s, axes.end_s), axes), _y(count, _TOP, _LINES, axes.streams)
        if last is None:
            path = f"M{x} {y}"
        elif count != last:
            path += f"H{x}V{y}"
        last = count
    return f"{path}H{_x(times[-1], axes)}"


def _bar(second: float, count: int, top: int, axes: Axes) -> str:
    if count == 0:
        return ""
    left, right = _x(second - 0.45, axes), _x(second + 0.45, axes)
    y = _y(count, top, _BARS, axes.per_s)
    return (
        f'<rect class="bar" x="{left}" y="{y}" width="{right - left:.1f}" '
        f'height="{top + _BARS - y:.1f}"><title>{count} in second {second - 0.5:g}</title></rect>'
    )


def _seconds(axes: Axes) -> str:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if axes.end_s / s <= 8)
    y = HEIGHT - _BOTTOM + 16
    ticks = "".join(
        f'<text x="{_x(at_s, axes)}" y="{y}" text-anchor="middle">{at_s}</text>'
        for at_s in range(0, int(axes.end_s) + 1, step)
    )
    centre = (_WIDTH + _LEFT - _RIGHT) / 2
    caption = "seconds since the rollout began"
    return f'{ticks}<text x="{centre:g}" y="{y + 18}" text-anchor="middle">{caption}</text>'


def _legend() -> str:
    entries = (("old", "old pod"), ("new", "new pod"), ("limit", "budget"))
    return "".join(
        f'<path class="{name}" d="M{index * 120} 8h28"/><text x="{index * 120 + 36}" y="12">'
        f"{text}</text>"
        for index, (name, text) in enumerate(entries)
    )


def legend() -> str:
    """The legend of all panels as an SVG element."""
    return svg(_legend(), 340, 20, "dashed: old pod, solid: new pod, long dashes: budget")
