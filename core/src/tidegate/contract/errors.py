"""The tree of errors: the type names the party that erred and whether a retry can help.

::

    TidegateError
    ├── CallerError                the caller's mistake: 4xx, do not retry as it is
    ├── SettingsError              the environment or command line is wrong: one line, exit status 2
    ├── DocumentError              a peer sent a malformed document
    ├── BackplaneUnavailableError  nothing was accepted: retry after `retry_after_s`
    ├── IllegalTransitionError     our own mistake: an event that its table does not allow
    ├── ClusterError               a read or write of the cluster failed: the next reconcile retries
    └── MissingToolError           something must be installed first; the message has the command
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SHOWN_FIELD = 256
"""A caller names the field, and may name it at any length."""


class TidegateError(Exception):
    """The root of everything Tidegate raises on purpose. Survives pickling, fields included."""

    def __reduce__(self) -> tuple[Any, ...]:
        # By default the class is called with `args`, which hold the message only.
        return _restored, (type(self), self.args), vars(self)


class CallerError(TidegateError):
    """Raised when a request is wrong in itself; retrying it unchanged cannot help.

    ``code`` is for programs (``"bad_json"``), ``detail`` a sentence for people and
    ``field`` the part of the request that is wrong (``None`` when it is the whole).
    """

    def __init__(self, code: str, detail: str, field: str | None = None, status: int = 400) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.status = status

    def to_json(self) -> dict[str, str | None]:
        """The body of the 4xx answer: ``{"error", "detail", "field"}``."""
        field = None if self.field is None else _sendable(self.field[:_SHOWN_FIELD])
        return {"error": self.code, "detail": _sendable(self.detail), "field": field}


class SettingsError(TidegateError):
    """Raised at start-up when a setting is not usable; names it and what is allowed."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name

    @classmethod
    def of(cls, problems: Sequence[tuple[str, str]]) -> SettingsError:
        """One error for several names and problems, one line each; `name` is the first one's."""
        error = cls(*problems[0])
        error.args = ("\n".join(f"{name}: {problem}" for name, problem in problems),)
        return error


class DocumentError(TidegateError):
    """Raised when a peer's document is malformed; ``field`` names the first bad part."""

    def __init__(self, document: str, field: str, problem: str) -> None:
        super().__init__(f"{document}: {field}: {problem}")
        self.document = document
        self.field = field


class BackplaneUnavailableError(TidegateError):
    """Raised when the backplane did not acknowledge; nothing was accepted, so retry is safe."""

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class IllegalTransitionError(TidegateError):
    """Raised when an event cannot happen in a state; the state is as it was."""


class ClusterError(TidegateError):
    """Raised when the cluster was not read or written: the pod is gone, the API is away or refuses.

    The reconcile loop logs and counts it; the next one finds the difference again.
    """


class MissingToolError(TidegateError):
    """Raised when a program or package is not installed; the message has the fix."""


def _restored(kind: type[TidegateError], args: tuple[Any, ...]) -> TidegateError:
    return kind.__new__(kind, *args)


def _sendable(text: str) -> str:
    """`text` with half a surrogate pair spelled out: a caller's key may hold one, UTF-8 cannot."""
    return text.encode(errors="backslashreplace").decode()
