"""The end of a stream as an error, and which errors are an end."""

from __future__ import annotations

from tidegate.contract.errors import DocumentError, SettingsError, TidegateError
from tidegate_client.actions import Ending, LostReason, StopReason

_CANNOT_BE_SENT = frozenset(
    {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError", "TooManyRedirects"}
)


class StreamStoppedError(TidegateError):
    """Raised by the iteration when trying on cannot help, or was tried often enough.

    `reason` is a word from a fixed list; `status` is the HTTP status, 0 where there was no
    response. `last` is the loss that used up the attempts, where `reason` is ``exhausted``. The
    error that the HTTP library or the headers' provider raised, if any, is the `__cause__`.
    """

    def __init__(self, reason: StopReason, status: int, last: LostReason | None = None) -> None:
        details = [f"HTTP {status}"] if status else []
        if last is not None and last != "status":
            details.append(f"the last: {last}")
        super().__init__(
            f"event stream stopped: {reason}" + (f" ({', '.join(details)})" if details else "")
        )
        self.reason = reason
        self.status = status
        self.last = last


def ending_of(error: BaseException) -> Ending:
    """How a connection has ended that raised this: what the same request would meet again is fatal.

    That is a request that cannot be sent (an illegal header or URL, a scheme that the transport
    does not have), a mistake in the program (a wrong type, a closed HTTP client), a body that
    cannot be decompressed. Everything else may pass.
    """
    if isinstance(error, DocumentError):
        return "oversized"
    if isinstance(error, SettingsError | TypeError | ValueError | AttributeError | RuntimeError):
        return "invalid_request"
    # By name, as httpx and httpx2 each have classes of their own.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & _CANNOT_BE_SENT:
        return "invalid_request"
    return "unreadable" if "DecodingError" in kinds else "error"
