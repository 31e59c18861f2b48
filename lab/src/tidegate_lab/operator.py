"""The operator over a local fleet: the production loop and report API on the lab's own loop."""

from __future__ import annotations

import asyncio
import time

from tidegate.rollout.snapshot import Policy
from tidegate_lab.broker import LOOPBACK
from tidegate_lab.fleet.cluster import LocalCluster
from tidegate_lab.fleet.fleet import Fleet
from tidegate_operator.meters import Meters
from tidegate_operator.reconcile import Reconciler
from tidegate_operator.report_api import report_app, report_server
from tidegate_operator.reports import ReportBook


class LabOperator:
    """Serves the report API from the start; decides from `start_deciding` on."""

    def __init__(self, fleet: Fleet, policy: Policy) -> None:
        self.cluster = LocalCluster(fleet, policy)
        self._book = ReportBook(time.monotonic)
        meters = Meters()
        self._server = report_server(report_app(self.cluster, self._book, meters), LOOPBACK)
        self._reconciler = Reconciler(self.cluster, self._book, time.monotonic, meters)
        self._deciding: asyncio.Task[None] | None = None
        fleet.on_change(self._reconciler.nudge)

    async def listen(self) -> str:
        """Serve the report API; returns the URL for the sidecars."""
        return f"http://{LOOPBACK}:{await self._server.start()}"

    def start_deciding(self) -> None:
        """Start the loop."""
        self._deciding = asyncio.create_task(self._reconciler.run())

    def raise_failure(self) -> None:
        """Raise what ended the loop, if anything did."""
        if self._deciding is not None and self._deciding.done():
            self._deciding.result()

    async def stop(self) -> None:
        """End both."""
        if self._deciding is not None:
            self._deciding.cancel()
            await asyncio.gather(self._deciding, return_exceptions=True)
        self._book.close()
        await self._server.stop()
