"""What comes in from the backplane: events into the log, and word to whom they concern."""

from __future__ import annotations

from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import GapReason
from tidegate.stream.log import EventLog, LogEntry
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.delivery import Delivery
from tidegate_sidecar.engine.registry import Registry
from tidegate_sidecar.engine.stream import final_cursor


class Intake:
    """Appends to `log` and wakes the `sweep`; nothing is written to a stream here."""

    def __init__(
        self, log: EventLog, registry: Registry, sweep: Delivery, counters: Counters
    ) -> None:
        self._log = log
        self._registry = registry
        self._delivery = sweep
        self._counters = counters

    def publish(self, entry: LogEntry) -> None:
        """Append one event and mark its audiences, or the streams of its client."""
        try:
            chunk = self._log.append(entry)
        except CallerError:
            # The publish port refuses such text; what came past it must not stop the log.
            self._counters.unsendable_events += 1
            self._log.advance(entry.seq)
            return
        if chunk is None:
            self._counters.repeated_events += 1
            return
        self._counters.events += 1
        if entry.to.client is not None:
            for stream in self._registry.clients.get(entry.to.client, ()):
                self._delivery.late(stream)
            return
        for audience in self._registry.audiences.addressed(entry.to):
            audience.append(entry.seq, chunk)
            self._delivery.news(audience)

    def reset_epoch(self, epoch: str, position: int) -> None:
        """Go on at `position` of `epoch`; a stream that has not all of it up to there is told.

        The same epoch again is a hole: the store has thrown away what this pod had not read. Who
        came from a pod that had read it has a cursor beyond the hole, and has lost nothing.
        """
        reason: GapReason = "lagged" if epoch == self._log.epoch else "epoch"
        behind = [s for s in self._registry.open if reason == "epoch" or s.cursor < position]
        for stream in behind:
            if stream.lost is None or reason == "epoch":
                stream.lost = (final_cursor(self._log, stream), reason)
            stream.cursor = position
        self._log.reset(epoch, position)
        for audience in self._registry.audiences:
            audience.clear(position)
        for stream in behind:
            self._delivery.late(stream)
