"""A page in a real browser beside the lab's own clients: each event it gets, against the ledger.

The page comes through the front door like everybody else. It holds one native EventSource and one
TypeScript client on the same topic; both write down what they get and what goes wrong.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from kit.browsers import open_page, until_true

from tidegate.score.deliveries import Deliveries, Ledger, check
from tidegate_lab.door import Endpoint
from tidegate_lab.load.driver import Progress
from tidegate_lab.load.port import Load
from tidegate_lab.load.tally import Receipts, Window, read_ledger

TOPIC = "topic/0"
KINDS = ("native", "client")
SCRIPT = """
import {SseClient} from './index.js'

const logs = {native: [], client: []}
const url = '/events?topic=TOPIC'
const write = (name) => ({type, lastEventId = '', reason = ''}) =>
  logs[name].push([type, lastEventId, reason])
const follow = (name, source) => {
  for (const type of ['message', 'connected', 'gap', 'error']) {
    source.addEventListener(type, write(name))
  }
  return source
}
follow('native', new EventSource(url))
follow('client', new SseClient(url, {handover: true})).connect()
Object.assign(globalThis, {logs})
""".replace("TOPIC", quote(TOPIC, safe=""))


class Seen:
    """What one of the page's two clients wrote down."""

    def __init__(self, log: Sequence[tuple[str, str, str]]) -> None:
        connected = [_seq(identifier) for kind, identifier, _ in log if kind == "connected"]
        self.moves = len(connected) - 1
        self.errors = [reason or "error" for kind, _, reason in log if kind == "error"]
        self.gaps = sum(kind == "gap" for kind, _, _ in log)
        self.receipts = Receipts(first=connected[0])
        for kind, identifier, _ in log:
            if kind == "message":
                self.receipts.take(_seq(identifier), 0.0)
        self.deliveries = Deliveries()

    def check(self, ledger: Ledger) -> None:
        """Count against what it should have got."""
        expected = ledger.expected(None, (TOPIC,), self.receipts.first)
        self.deliveries = check(expected, self.receipts.seqs, self.receipts.repeated)


class WithPage:
    """The lab's clients and one page, as `tidegate_lab.rollout.measure` wants its clients.

    `seen` tells of the page by kind of client, after `finish`.
    """

    def __init__(self, clients: Load, context: Any, port: int) -> None:
        self.seen: dict[str, Seen] = {}
        self._clients = clients
        self._context = context
        self._port = port
        self._page: Any = None

    @property
    def progress(self) -> Progress:
        """Of the lab's own clients."""
        return self._clients.progress

    async def sync(self, endpoints: Sequence[Endpoint]) -> None:
        """The page asks the forwarder, which has its own."""
        await self._clients.sync(endpoints)

    async def connect(self, per_s: float) -> None:
        """Everybody, and the page, whose clients have a stream when this returns."""
        await self._clients.connect(per_s)
        self._page = await open_page(self._context, self._port)
        for kind in KINDS:
            await until_true(self._page, f"logs.{kind}.some(([type]) => type === 'connected')")

    async def finish(
        self, ledger: Sequence[tuple[int, Any, float]], calm: Window, rollout: Window
    ) -> dict[str, Any]:
        """Take the page's logs, check them, and let the lab's clients finish."""
        logs = await self._page.evaluate("logs")
        checked = Ledger(read_ledger(ledger), time.monotonic())
        self.seen = {kind: Seen(logs[kind]) for kind in KINDS}
        for seen in self.seen.values():
            seen.check(checked)
        return await self._clients.finish(ledger, calm, rollout)

    async def stop(self) -> None:
        """End the lab's clients; the browser is its owner's."""
        await self._clients.stop()


def _seq(identifier: str) -> int:
    return int(identifier.rpartition("-")[2])
