"""What a client raises when it has given up."""

from __future__ import annotations

from tidegate.contract.errors import TidegateError
from tidegate_client.actions import StopReason


class StreamStoppedError(TidegateError):
    """Raised by the iteration when trying on cannot help, or was tried often enough.

    `reason` says why; `status` is the HTTP status, 0 where there was no response.
    """

    def __init__(self, reason: StopReason, status: int) -> None:
        super().__init__(
            f"event stream stopped: {reason}" + (f" (HTTP {status})" if status else "")
        )
        self.reason = reason
        self.status = status
