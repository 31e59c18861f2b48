"""``python -m bench``: 2,000 streams of 100-byte events on one core, measured and judged.

This process is the load generator; the server under test is another one, each pinned to a core
where there are two. CPU is that of the server's process tree, from /proc. Exit status 1 if a goal
is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from bench.goals import GOALS, judge
from bench.measure import measure, measure_opening, measure_reference
from bench.server import EVENT_BYTES
from bench.tested import pin
from tidegate.contract.errors import SettingsError
from tidegate_lab.descriptors import raise_descriptor_limit


def _table(figures: dict[str, Any], met: dict[str, bool]) -> str:
    rows = [("figure", "measured", "goal", "")]
    for name, value in figures.items():
        sense, limit = GOALS.get(name, ("", 0.0))
        shown = f"{value:,.2f}" if isinstance(value, float) else f"{value}"
        goal = f"{sense} {limit:,.6g}" if sense else ""
        rows.append(
            (name, shown, goal, "" if name not in met else "met" if met[name] else "MISSED")
        )
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows
    )


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--streams", type=int, default=2000, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the figures; - is standard output")
    options = parser.parse_args()
    try:
        raise_descriptor_limit(options.streams, "--streams")
    except SettingsError as error:
        parser.error(str(error))
    pin(os.getpid(), 1)
    figures = measure(options.streams)
    figures |= measure_opening(options.streams)
    figures |= measure_reference(options.streams, figures["event_bytes_on_wire"])
    met = judge(figures)
    document = json.dumps({"streams": options.streams, "event_bytes": EVENT_BYTES} | figures)
    if options.json == "-":
        print(document)
    else:
        print(_table(figures, met))
        if options.json:
            Path(options.json).write_text(document + "\n")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
