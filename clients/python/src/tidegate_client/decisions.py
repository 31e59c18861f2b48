"""Single decisions, each a pure function: how long to wait, what a status means.

The same functions exist in the TypeScript client; both run the vectors in `tests/vectors/client`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal, get_args

from tidegate.contract.errors import SettingsError

_EVENT_STREAM = re.compile(r"\s*text/event-stream\s*(;|$)", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]+")
_STATUSES_TO_RETRY = frozenset({408, 425, 429})

Repeat = Literal["always", "broken", "unanswered"]
"""Which streams are asked for again."""

_WORDS: dict[str, tuple[object, ...]] = {
    "handover": (True, False, "auto"),
    "renewable": (True, False),
    "repeat": get_args(Repeat),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client backs off and hands over. Durations are in milliseconds.

    The n-th unplanned retry waits `initial_delay_ms` × `factor`^(n-1), at most `max_delay_ms`, and
    up to `jitter` of that on top; after `max_attempts` of them in a row (``math.inf``: never) the
    client gives up. A stream open for `stable_ms` resets the count. A server may ask for at
    most `max_instructed_ms`. Headers must come within `connect_timeout_ms` and bytes within
    `idle_timeout_ms` (0: three of the announced heartbeats).

    With `handover` the next stream is opened before the old one ends, which is let go early if the
    next one takes longer than `handover_patience_ms`: ``True`` sends ``?handover=1`` from the first
    request on, ``"auto"`` once the server's `connected` has asked for it. `renewable`: new
    credentials can be had after a 401 or 403. `repeat`: the streams that are requested again:
    ``"always"`` any that is lost, ``"broken"`` one that did not end cleanly, ``"unanswered"`` only
    one whose response had not begun, as it might be done twice.

    ``None`` stands for a default. Raises `SettingsError` for a value that cannot work.
    """

    initial_delay_ms: float = 1000
    factor: float = 2
    max_delay_ms: float = 30_000
    jitter: float = 0.2
    max_attempts: float = 10
    stable_ms: float = 10_000
    max_instructed_ms: float = 300_000
    connect_timeout_ms: float = 15_000
    idle_timeout_ms: float = 0
    handover: bool | Literal["auto"] = "auto"
    handover_patience_ms: float = 2000
    renewable: bool = False
    repeat: Repeat = "always"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                # Options that are passed through a wrapper arrive as None where nothing was set.
                object.__setattr__(self, field.name, field.default)
            elif allowed := _WORDS.get(field.name):
                if not any(type(value) is type(word) and value == word for word in allowed):
                    raise SettingsError(field.name, f"must be one of {allowed}, is {value!r}")
            elif isinstance(value, bool) or not isinstance(value, int | float):
                raise SettingsError(field.name, f"must be a number, is {value!r}")
            elif math.isnan(value) or value < 0:
                raise SettingsError(field.name, f"must be at least 0, is {value}")
        if self.factor < 1:
            raise SettingsError("factor", f"must be at least 1, is {self.factor}")


@dataclass(frozen=True, slots=True)
class Floor:
    """What a server has asked for: the least delay, and whether it has spread its clients."""

    floor_ms: float
    assigned: bool


def retry_delay_ms(attempt: int, floor: Floor, random: float, settings: Settings) -> int:
    """Milliseconds before the `attempt`-th unplanned retry (1 is the first); `random` in [0, 1).

    The first comes back over a width of its own, because a fleet that lost its server would
    otherwise return as one wave; where the server has spread its clients already, more jitter
    would only add peaks. Later ones back off. A server's floor is never undercut: jitter is only
    added.
    """
    if attempt <= 1:
        jitter_ms = 0 if floor.assigned else random * settings.initial_delay_ms
        return rounded(floor.floor_ms + jitter_ms)
    backoff_ms = _backoff_ms(attempt, settings)
    return rounded(max(backoff_ms, floor.floor_ms) * (1 + settings.jitter * random))


def _backoff_ms(attempt: int, settings: Settings) -> float:
    try:
        grown_ms = settings.initial_delay_ms * settings.factor ** (attempt - 1)
    except OverflowError:
        return settings.max_delay_ms
    return min(settings.max_delay_ms, grown_ms)


def rounded(ms: float) -> int:
    """Round half up, as JavaScript does: both clients decide the same to the millisecond."""
    return math.floor(ms + 0.5)


Verdict = Literal["stream", "no_content", "renew", "retry", "refused", "not_a_stream"]
"""The meaning of a response: a stream, `stop`, `renew` the credentials, or `retry` later."""


def judge(status: int, content_type: str) -> Verdict:
    """Judge a response.

    204 means stop (WHATWG HTML 9.2.3); a 4xx is the caller's mistake, which no repetition mends,
    but for 408, 425 and 429, which ask for it; 5xx passes.
    """
    if status == 200:
        return "stream" if _EVENT_STREAM.match(content_type) else "not_a_stream"
    if status == 204:
        return "no_content"
    if status in (401, 403):
        return "renew"
    if status >= 500 or status in _STATUSES_TO_RETRY:
        return "retry"
    return "refused" if status >= 400 else "not_a_stream"


def retry_after_ms(header: str | None, now_ms: float) -> float:
    """``Retry-After`` (RFC 9110, 10.2.3) in milliseconds; 0 where absent or unusable.

    It holds seconds or a date; `now_ms` is the wall clock in milliseconds since 1970.
    """
    if not header:
        return 0
    if _SECONDS.fullmatch(header):
        return float(header) * 1000
    if not header.endswith("GMT"):
        return 0  # without the zone that the RFC demands, it would be guessed
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return 0
    return max(0, date.replace(tzinfo=UTC).timestamp() * 1000 - now_ms)
