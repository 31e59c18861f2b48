"""The HTML report: one self-contained file with the headline figures, the plots and the scorecards.

It loads nothing, runs no script, follows light and dark mode, and is readable on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tidegate.contract.names import MODE_STOCK, MODE_TIDEGATE
from tidegate.score.goals import DEMO_GOALS
from tidegate.score.scorecard import SCORECARD_KEYS, Scorecard
from tidegate_lab.demo.outcome import Outcome
from tidegate_lab.demo.plots import STYLE, legend, panels
from tidegate_lab.demo.tables import figure_text
from tidegate_lab.rollout import Measured
from tidegate_lab.settings import RolloutSettings

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:1320px;margin:0 auto;padding:1.5rem 1rem;
color:var(--ink);background:var(--ground)}
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.lead{font-size:1.25rem;margin:.2rem 0}.soft,li{color:var(--soft)}.legend{max-width:340px}
.plots{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,360px),1fr))}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
td,th{padding:.2em .8em;border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left;font-weight:400}thead th{font-weight:600}
.missed{color:var(--limit)}.missed td,.missed th{font-weight:600}
"""


def write_report(
    path: Path, measured: Sequence[Measured], outcome: Outcome, settings: RolloutSettings
) -> None:
    """Write the report, making its directory; raises `OSError` where that is not possible."""
    plots = "".join(panels(measured, settings.budget_per_s))
    lead = "".join(f'<p class="lead">{escape(line)}</p>' for line in headline(outcome))
    verdict = "".join(f"<p>{escape(line)}</p>" for line in outcome.verdict())
    page = (
        '<!doctype html><html lang="en" class="tg"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Tidegate demo</title><style>{STYLE}{_STYLE}</style><main>"
        f"<h1>Rolling updates your SSE clients don't feel</h1>{lead}{verdict}"
        f'<p class="soft">{escape(_shape(settings))}</p><div class="legend">{legend()}</div>'
        f'<div class="plots">{plots}</div><h2>Scorecards</h2>{_table(outcome)}{_notes(measured)}'
        "</main></html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def headline(outcome: Outcome) -> list[str]:
    """What the rollout did to the clients, a sentence per figure; nothing where it is unknown."""
    cards = {run.mode: run.scorecard for run in outcome.runs}
    ours, clients = cards.get(MODE_TIDEGATE), max((run.clients for run in outcome.runs), default=0)
    if ours is None:
        return []
    stock = cards.get(MODE_STOCK, Scorecard())
    figures = (
        (
            f"streams of {clients:,} clients cut",
            ours.cut_without_goodbye,
            stock.cut_without_goodbye,
        ),
        ("reconnects in the busiest second", ours.peak_moves_1s, stock.peak_moves_1s),
        ("moves per client", ours.moves_per_client, stock.moves_per_client),
    )
    return [
        f"{_short(value)} {text}" + ("" if beside is None else f" instead of {_short(beside)}")
        for text, value, beside in figures
        if value is not None
    ]


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def _shape(settings: RolloutSettings) -> str:
    fleet = settings.fleet
    return (
        f"{fleet.pods} pods, {settings.clients:,} clients, {settings.rate_per_s:g} events/s, "
        f"budget {settings.budget_per_s:g}/s, maxSurge {fleet.max_surge}, "
        f"maxUnavailable {fleet.max_unavailable}, ready after {fleet.ready_delay_s:g} s, "
        f"available {fleet.min_ready_s:g} s later, grace {fleet.grace_s:g} s, seed {settings.seed}"
    )


def _table(outcome: Outcome) -> str:
    goals = {goal.key: f"{goal.comparison} {goal.bound:g}" for goal in DEMO_GOALS}
    missed = {miss.goal.key for miss in outcome.misses}
    head = "".join(f'<th scope="col">{escape(run.mode)}</th>' for run in outcome.runs)
    rows = ""
    for key in SCORECARD_KEYS:
        cells = "".join(f"<td>{figure_text(r.scorecard.figure(key))}</td>" for r in outcome.runs)
        style = ' class="missed"' if key in missed else ""
        goal = escape(goals.get(key, ""))
        rows += f'<tr{style}><th scope="row">{key}</th>{cells}<td>{goal}</td></tr>'
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">figure</th>{head}'
        f'<th scope="col">goal</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _notes(measured: Sequence[Measured]) -> str:
    rows = [
        f"<li>{event.at_s - one.seen.started_s:.1f} s: {escape(event.reason)}, "
        f"{escape(event.message)}</li>"
        for one in measured
        for event in one.events
    ]
    return f"<h2>Events of the operator</h2><ul>{''.join(rows)}</ul>" if rows else ""
