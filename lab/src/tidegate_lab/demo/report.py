"""The HTML report: one self-contained file with the plots and the scorecards.

Streams per pod over time and reconnects per second, one column per mode on the same scales.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tidegate.score.goals import DEMO_GOALS
from tidegate.score.measures import StreamChange
from tidegate.score.scorecard import SCORECARD_KEYS
from tidegate_lab.demo.outcome import Outcome
from tidegate_lab.demo.tables import figure_text
from tidegate_lab.rollout import Measured
from tidegate_lab.settings import RolloutSettings

_BEFORE_S = 5.0
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}
td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}.missed{color:#b00020;font-weight:600}
"""


def write_report(
    path: Path, measured: Sequence[Measured], outcome: Outcome, settings: RolloutSettings
) -> None:
    """Write the report, making its directory; raises `OSError` where that is not possible."""
    figure = _plots(measured, settings.budget_per_s)
    body = figure.to_html(full_html=False, include_plotlyjs=True)
    fleet = settings.fleet
    shape = (
        f"{fleet.pods} pods, {settings.clients:,} clients, {settings.rate_per_s:g} events/s, "
        f"budget {settings.budget_per_s:g}/s, maxSurge {fleet.max_surge}, "
        f"maxUnavailable {fleet.max_unavailable}, ready after {fleet.ready_delay_s:g} s, "
        f"available {fleet.min_ready_s:g} s later, grace {fleet.grace_s:g} s, seed {settings.seed}"
    )
    verdict = "".join(f"<p>{escape(line)}</p>" for line in outcome.verdict())
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tidegate demo</title>'
        f"<style>{_STYLE}</style><h1>Rolling updates your SSE clients don't feel</h1>"
        f"<p>{escape(shape)}</p>{verdict}{body}{_table(outcome)}{_notes(measured)}</html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _plots(measured: Sequence[Measured], budget_per_s: float) -> go.Figure:
    modes = [one.run.mode for one in measured]
    figure = make_subplots(
        rows=2,
        cols=len(measured),
        shared_xaxes="columns",
        shared_yaxes="rows",
        vertical_spacing=0.08,
        subplot_titles=[*modes, *[""] * len(modes)],
    )
    for column, one in enumerate(measured, start=1):
        start_s = one.seen.started_s
        for pod, (times, counts) in streams_over_time(one.seen.stream_changes, start_s).items():
            dash = "solid" if pod in one.seen.new_pods else "dot"
            line = go.Scatter(x=times, y=counts, name=pod, line_dash=dash, line_shape="hv")
            figure.add_trace(line, row=1, col=column)
        seconds, moves = per_second(one.seen.arrivals_s, start_s)
        bars = go.Bar(x=seconds, y=moves, name="reconnects per second", marker_color="#444")
        figure.add_trace(bars, row=2, col=column)
        figure.add_hline(y=budget_per_s, line_dash="dash", line_color="#b00020", row=2, col=column)
        figure.update_xaxes(title_text="seconds since the rollout began", row=2, col=column)
    figure.update_yaxes(title_text="streams per pod", row=1, col=1)
    figure.update_yaxes(title_text="reconnects per second (dashed: budget)", row=2, col=1)
    figure.update_layout(showlegend=False, height=760, template="plotly_white")
    return figure


def streams_over_time(
    changes: Sequence[StreamChange], start_s: float
) -> dict[str, tuple[list[float], list[int]]]:
    """Per pod the moments and the streams held from then on, from shortly before the start."""
    lines: dict[str, tuple[list[float], list[int]]] = {}
    counts: Counter[str] = Counter()
    for change in changes:
        counts[change.pod] += change.delta
        times, held = lines.setdefault(change.pod, ([-_BEFORE_S], [0]))
        at_s = round(change.at_s - start_s, 3)
        if at_s <= -_BEFORE_S:
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


def _table(outcome: Outcome) -> str:
    goals = {goal.key: f"{goal.comparison} {goal.bound:g}" for goal in DEMO_GOALS}
    missed = {miss.goal.key for miss in outcome.misses}
    head = "".join(f"<th>{escape(run.mode)}</th>" for run in outcome.runs)
    rows = ""
    for key in SCORECARD_KEYS:
        cells = "".join(f"<td>{figure_text(r.scorecard.figure(key))}</td>" for r in outcome.runs)
        style = ' class="missed"' if key in missed else ""
        rows += f"<tr{style}><td>{key}</td>{cells}<td>{escape(goals.get(key, ''))}</td></tr>"
    return f"<table><tr><th>figure</th>{head}<th>goal</th></tr>{rows}</table>"


def _notes(measured: Sequence[Measured]) -> str:
    rows = [
        f"<li>{event.at_s - one.seen.started_s:.1f} s: {escape(event.reason)}, "
        f"{escape(event.message)}</li>"
        for one in measured
        for event in one.events
    ]
    return f"<h2>What the operator said</h2><ul>{''.join(rows)}</ul>" if rows else ""
