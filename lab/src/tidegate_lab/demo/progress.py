"""The display while the rollouts run: live where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tidegate_lab.rollout import Status

PLAIN_PERIOD_S = 5.0


class Display:
    """Shows one status after the other; use as a context manager. `modes` are run in order."""

    def __init__(self, console: Console, modes: tuple[str, ...]) -> None:
        self._console = console
        self._modes = modes
        self._mode = ""
        self._told = ""
        self._told_s = 0.0
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def begin(self, mode: str) -> None:
        """The next rollout starts."""
        self._mode = mode
        self._told = ""

    def show(self, status: Status) -> None:
        """Show how things stand."""
        if self._console.is_terminal:
            self._live.update(self._picture(status))
            return
        now = time.monotonic()
        if status.phase != self._told or now - self._told_s >= PLAIN_PERIOD_S:
            self._told, self._told_s = status.phase, now
            self._console.print(self._line(status), soft_wrap=True, highlight=False)

    def _line(self, status: Status) -> str:
        seen = status.seen
        return (
            f"[{self._mode}] {status.elapsed_s:5.1f} s  {status.phase}: "
            f"pods {status.old_pods} old + {status.new_pods} new + {status.going_pods} leaving, "
            f"{seen.connected} streams, {seen.moves} moves, {seen.cuts} cut, "
            f"{seen.failed} failed connects, {seen.received} events checked"
        ).replace("[", "\\[", 1)

    def _picture(self, status: Status) -> Group:
        number = self._modes.index(self._mode) + 1
        head = Text.assemble(
            (f"{number}/{len(self._modes)} {self._mode}", "bold cyan"),
            f"   {status.elapsed_s:.0f} s   {status.phase}",
        )
        return Group(head, self._bars(status), Text(self._hint(status), style="dim"))

    def _bars(self, status: Status) -> Table:
        held = {pod: n for pod, n in sorted(status.seen.streams.items()) if n > 0}
        most = max(held.values(), default=1)
        table = Table.grid(padding=(0, 1))
        for pod, streams in held.items():
            table.add_row(pod, ProgressBar(total=most, completed=streams, width=40), str(streams))
        return table

    def _hint(self, status: Status) -> str:
        seen = status.seen
        return (
            f"{seen.connected} streams, {seen.moves} moves, {seen.cuts} cut, {seen.failed} failed "
            f"connects, {seen.received} events checked; curl -N '{status.url}/events?topic=topic/1'"
        )
