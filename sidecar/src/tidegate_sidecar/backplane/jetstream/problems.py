"""Why the log cannot be used, in a sentence that names the fix.

A pod that never gets its log never gets ready, so the reason must be found where people look: in
the sidecar's log, in the answer of its readiness probe, in `/status`, and in the report, of which
the operator makes an Event.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from nats.js.errors import APIError, ServiceUnavailableError

from tidegate.contract.report import DEGRADED_BACKPLANE, DEGRADED_BACKPLANE_FULL
from tidegate_sidecar.backplane.jetstream.connection import DROPPED
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.backplane.port import Problem

REPEAT_S: Final = 60.0
"""A problem that lasts is logged again this often."""

NO_ROOM: Final = frozenset({10002, 10005, 10023, 10028, 10047, 10077})
"""JetStream's error codes for a stream that finds no room, or has none left: account limits, no
suitable peer, resources, memory, storage, a failed store (nats-server ``errors.json``)."""

TOO_MANY_STREAMS: Final = frozenset({10026, 10027})
NOT_ENABLED: Final = frozenset({10039, 10076})
NO_QUORUM: Final = frozenset({10008, 10009})
OVERLAP: Final = frozenset({10065})
_MIB: Final = 2**20

_log = logging.getLogger("tidegate.backplane")


class Troubles:
    """The present problem; logged when it is met, and again every `REPEAT_S` while it lasts."""

    def __init__(self, clock: Callable[[], float], first: Problem | None = None) -> None:
        self._clock = clock
        self._logged: tuple[Problem, float] | None = None
        self.problem = first

    def met(self, problem: Problem) -> None:
        """This keeps the pod from its log now."""
        self.problem = problem
        now = self._clock()
        logged, at = self._logged or (None, now)
        if logged != problem or now - at >= REPEAT_S:
            self._logged = (problem, now)
            _log.warning(problem.text)

    def over(self) -> None:
        """Nothing does any more."""
        self.problem = None


class WrongStreamError(OSError):
    """Raised when the stream of that name is not for our entries, with its subjects."""


def not_reached(settings: JetStreamSettings) -> Problem:
    """The problem until the first try to connect has failed or succeeded."""
    return Problem(DEGRADED_BACKPLANE, f"the log at {_shown(settings)} has not been reached yet")


def problem_of(error: Exception, settings: JetStreamSettings) -> Problem:
    """The meaning of an error on the way to the log, and the fix."""
    code = error.err_code if isinstance(error, APIError) else None
    if code in NO_ROOM:
        return Problem(DEGRADED_BACKPLANE_FULL, _no_room(settings, error))
    if code in TOO_MANY_STREAMS:
        text = (
            f"the NATS server at {_shown(settings)} takes no more streams: raise its limit of "
            "streams, or remove the streams of applications that are gone"
        )
        return Problem(DEGRADED_BACKPLANE_FULL, text)
    sentence = _of_answer(error, code, settings) or _of_connecting(error)
    if sentence is None:
        words = error.description if isinstance(error, APIError) else error
        sentence = f"cannot be used: {words or 'no answer'}"
    return Problem(DEGRADED_BACKPLANE, f"the log at {_shown(settings)} {sentence}")


def _of_answer(error: Exception, code: int | None, settings: JetStreamSettings) -> str | None:
    """The end of the sentence for what a server has answered."""
    text = str(error).lower()
    if code in NOT_ENABLED or (code is None and isinstance(error, ServiceUnavailableError)):
        return "is on a NATS server without JetStream: start it with JetStream"
    if code in NO_QUORUM:
        return "has no leader: most servers of the NATS cluster are away; bring them back"
    if code in OVERLAP or isinstance(error, WrongStreamError):
        return (
            f"has a stream that is not for {settings.subject} ({_words(error)}): "
            "set tidegate.dev/backplane-stream to another name, or remove that stream"
        )
    if "permissions violation" in text:
        return (
            f"does not give this user the rights it needs ({error}): allow publish to "
            f"{settings.subject}, $KV.{settings.acks_bucket}.> and $JS.API.>, and subscribe to "
            "_INBOX.>"
        )
    if "authorization" in text or "authentication" in text:
        return "refuses user and password: check those in the address of the backplane"
    if isinstance(error, APIError):
        return f"refuses: {error.description}"
    return None


def _of_connecting(error: Exception) -> str | None:
    """The end of the sentence for a connection that did not come about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted ({error.verify_message}): have it signed by "
            "an authority of the image, or add its authority by SSL_CERT_FILE"
        )
    if isinstance(error, ssl.SSLError):
        return f"fails the TLS handshake ({error.reason or error}): use nats:// or tls://"
    if isinstance(error, socket.gaierror):
        return "has a host that DNS does not resolve: check the address of the backplane"
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "refuses connections: nothing listens there; check port and server"
    if isinstance(error, DROPPED):
        return "closes the connection: check that a NATS server listens there, and its log"
    if isinstance(error, TimeoutError):
        return "does not answer in time: check the server and the network policies on the way"
    return None


def _words(error: Exception) -> str:
    return str(error.description if isinstance(error, APIError) else error)


def _no_room(settings: JetStreamSettings, error: Exception) -> str:
    return (
        f"the NATS server at {_shown(settings)} has no room for the stream {settings.stream}, "
        f"which reserves {settings.keep_bytes / _MIB:.0f} MiB, twice the ring's bytes "
        f"({_words(error)}): "
        "raise nats.maxFileStore of the chart (max_file_store of your own server), lower "
        "tidegate.dev/ring-bytes, or remove the streams of applications that are gone"
    )


def _shown(settings: JetStreamSettings) -> str:
    """The addresses without what may be a password."""
    return ", ".join(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        for parts in map(urlsplit, settings.servers)
    )
