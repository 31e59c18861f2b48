"""``python -m e2e``: the scorecards that the tests have kept, as the table of the README."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from e2e.goals import REPORTS

_HEAD = ("case", "mode", "moves", "balance", "peak", "s", "cut", "offline p50", "besides")
_BESIDES = ("lost", "duplicated", "failed_connects", "bounced", "non_200", "clients_dead")


def table(folder: Path) -> Iterator[str]:
    """Rows in Markdown, one per run, sorted by the names of the files."""
    yield f"| {' | '.join(_HEAD)} |"
    yield "|" + "---|" * len(_HEAD)
    for file in sorted(folder.glob("*.json")):
        for run in json.loads(file.read_text()).get("runs", ()):
            yield f"| {' | '.join(_row(file.stem, run['mode'], run['scorecard']))} |"


def _row(case: str, mode: str, card: Mapping[str, Any]) -> Iterator[str]:
    yield case.replace("-", " ")
    yield mode
    yield _shown(card["moves_per_client"], "{:.3f}")
    balance = (card["balance_max_over_mean"], card["balance_min_over_mean"])
    yield " / ".join(_shown(figure, "{:.2f}") for figure in balance)
    yield _shown(card["peak_moves_1s"], "{:.0f}")
    yield _shown(card["rollout_s"], "{:.1f}")
    yield _shown(card["cut_without_goodbye"], "{:.0f}")
    yield _shown(card["offline_p50_ms"], "{:.0f} ms")
    yield ", ".join(f"{key.replace('_', ' ')} {card[key]:g}" for key in _BESIDES if card[key])


def _shown(figure: float | None, form: str) -> str:
    return "–" if figure is None else form.format(figure)


if __name__ == "__main__":
    print("\n".join(table(Path(sys.argv[1]) if len(sys.argv) > 1 else REPORTS)))
