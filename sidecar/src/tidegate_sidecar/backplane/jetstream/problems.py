"""Why the log cannot be opened, in a sentence that names the fix.

A pod that never gets its log never gets ready, so the reason must be found where people look: in
the sidecar's log, in the answer of its readiness probe, in `/status`, and, as a word in the report,
at the operator, which makes an Event of it.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from nats.js.errors import APIError

from tidegate.contract.report import DEGRADED_BACKPLANE, DEGRADED_BACKPLANE_FULL
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.backplane.port import Problem

NO_ROOM: Final = frozenset({10002, 10005, 10023, 10028, 10047})
"""JetStream's error codes for a stream that finds no room: account limits, no suitable peer,
resources, memory, storage (nats-server ``errors.json``)."""

TOO_MANY_STREAMS: Final = frozenset({10027})
NOT_ENABLED: Final = frozenset({10039, 10076})
_MIB: Final = 2**20


def not_reached(settings: JetStreamSettings) -> Problem:
    """What is wrong until the first connection."""
    return Problem(DEGRADED_BACKPLANE, f"the log at {_shown(settings)} has not been reached yet")


def problem_of(error: Exception, settings: JetStreamSettings) -> Problem:
    """What an error on the way to the log means, and what to do about it."""
    code = error.err_code if isinstance(error, APIError) else None
    if code in NO_ROOM:
        return Problem(DEGRADED_BACKPLANE_FULL, _no_room(settings, error))
    if code in TOO_MANY_STREAMS:
        text = (
            f"the NATS server at {_shown(settings)} takes no more streams: raise its limit of "
            "streams, or remove the streams of applications that are gone"
        )
        return Problem(DEGRADED_BACKPLANE_FULL, text)
    if code in NOT_ENABLED:
        text = f"the NATS server at {_shown(settings)} has no JetStream: start it with JetStream"
        return Problem(DEGRADED_BACKPLANE, text)
    return Problem(
        DEGRADED_BACKPLANE,
        f"the log at {_shown(settings)} cannot be opened: {error or 'no answer'}",
    )


def _no_room(settings: JetStreamSettings, error: Exception) -> str:
    said = error.description if isinstance(error, APIError) else error
    return (
        f"the NATS server at {_shown(settings)} has no room for the stream {settings.stream}, "
        f"which reserves {settings.keep_bytes / _MIB:.0f} MiB, twice the ring's bytes ({said}): "
        "raise nats.maxFileStore of the chart (max_file_store of your own server), lower "
        "tidegate.dev/ring-bytes, or remove the streams of applications that are gone"
    )


def _shown(settings: JetStreamSettings) -> str:
    """The addresses without what may be a password."""
    return ", ".join(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        for parts in map(urlsplit, settings.servers)
    )
