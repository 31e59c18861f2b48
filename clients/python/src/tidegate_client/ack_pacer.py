"""When to send which acknowledgement: pure, so that both languages decide the same.

Only the newest id counts, so a client sends at most one per `every_ms`, and one at a time. The
first after a rest waits a random part of that: an event for all clients would otherwise be
acknowledged by all of them at once. What fails is tried again like a lost stream, newest id first.
"""

from __future__ import annotations

import math
from typing import Literal

from tidegate_client.actions import Moment
from tidegate_client.decisions import Floor, Settings, judge, retry_delay_ms, rounded

ACKNOWLEDGE_EVERY_MS = 5000
"""What a restart without a cursor may repeat at most, against one request per client and time."""

AckVerdict = Literal["kept", "retry", "refused", "late"]
"""The meaning of an answer; `late`: a newer id has been sent since."""


class AckPacer:
    """The acknowledgements of one stream. Runs the scenarios in `tests/vectors/client`."""

    def __init__(self, every_ms: float, settings: Settings) -> None:
        self._every_ms = every_ms
        self._settings = settings
        self.waiting = ""
        """The newest id that has not been sent."""
        self.sending = ""
        """The id that waits for its answer."""
        self.kept = ""
        """The last id that the server has kept."""
        self._due_ms = math.inf
        self._sent_ms = -math.inf
        self._attempt = 0

    def deadline_ms(self) -> float:
        """When `tick` has something to do."""
        return self._due_ms

    def acknowledge(self, event_id: str, at: Moment) -> None:
        """The application is done with everything up to `event_id`."""
        if not event_id or event_id == (self.waiting or self.sending or self.kept):
            return
        self.waiting = event_id
        if self._due_ms == math.inf and not self.sending:
            soon_ms = at.now_ms + rounded(at.random * self._every_ms)
            self._due_ms = max(soon_ms, self._sent_ms + self._every_ms)

    def tick(self, at: Moment) -> str:
        """Time has passed: the id to send now, or nothing."""
        return self.flush(at) if at.now_ms >= self._due_ms else ""

    def flush(self, at: Moment) -> str:
        """The client is about to go: the id to send now, or nothing."""
        event_id, self.waiting = self.waiting, ""
        self._due_ms = math.inf
        if event_id:
            self.sending = event_id
            self._sent_ms = at.now_ms
        return event_id

    def answered(self, event_id: str, status: int, retry_after_ms: float, at: Moment) -> AckVerdict:
        """The server has answered with `status`; 0: it has not."""
        if event_id != self.sending:
            return "late"
        self.sending = ""
        verdict = _judge(status, self._settings.renewable)
        if verdict == "retry":
            self._attempt += 1
            self.waiting = self.waiting or event_id
            floor = Floor(min(retry_after_ms, self._settings.max_instructed_ms), False)
            delay_ms = retry_delay_ms(self._attempt, floor, at.random, self._settings)
            self._due_ms = at.now_ms + delay_ms
            return verdict
        self._attempt = 0
        if verdict == "kept":
            self.kept = event_id
        if self.waiting:
            self._due_ms = max(at.now_ms, self._sent_ms + self._every_ms)
        return verdict


def _judge(status: int, renewable: bool) -> AckVerdict:
    """Any 2xx is an acknowledgement kept; what a repetition can mend is repeated."""
    if 200 <= status < 300:
        return "kept"
    verdict = judge(status, "")
    if not status or verdict == "retry" or (verdict == "renew" and renewable):
        return "retry"
    return "refused"
