"""The application's hooks: an error of theirs ends no stream; async ones are awaited in turn."""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tidegate_client.background import Background
from tidegate_client.options import ChangeListener, CommentListener
from tidegate_client.stream_events import Lost, Opened

_T = TypeVar("_T")
_log = logging.getLogger("tidegate_client")


class Listeners:
    """Calls `on_change` and `on_comment`."""

    def __init__(
        self,
        background: Background,
        on_change: ChangeListener | None,
        on_comment: CommentListener | None,
    ) -> None:
        self._background = background
        self._on_change = on_change
        self._on_comment = on_comment
        self._pending: deque[Awaitable[None]] = deque()
        self._awaiting = False

    def changed(self, change: Opened | Lost) -> None:
        """The stream is open, or lost."""
        if self._on_change is not None:
            self._call(self._on_change, change)

    def comment(self, text: str) -> None:
        """A comment line has come."""
        if self._on_comment is not None:
            self._call(self._on_comment, text)

    def _call(self, hook: Callable[[_T], Awaitable[None] | None], argument: _T) -> None:
        try:
            outcome = hook(argument)
        except Exception:  # noqa: BLE001 - a hook's error must not end the stream
            _log.exception("a hook raised")
            return
        if inspect.isawaitable(outcome):
            self._pending.append(outcome)
            if not self._awaiting:
                self._awaiting = True
                self._background.start(self._await_pending)

    def close(self) -> None:
        """Forget what was not awaited."""
        self._awaiting = False
        while self._pending:
            pending = self._pending.popleft()
            if inspect.iscoroutine(pending):
                pending.close()  # or Python warns that it was never awaited

    async def _await_pending(self) -> None:
        try:
            while self._pending:
                try:
                    await self._pending.popleft()
                except Exception:  # noqa: BLE001 - a hook's error must not end the stream
                    _log.exception("a hook raised")
        finally:
            self._awaiting = False
