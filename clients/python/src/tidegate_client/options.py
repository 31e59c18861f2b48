"""The options of a client, declared once for all four faces, and checked when it is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypedDict

from tidegate.contract.errors import SettingsError
from tidegate_client.decisions import Settings
from tidegate_client.http_client import HttpSource
from tidegate_client.requester import HeadersSource
from tidegate_client.stream_events import Lost, Opened

ChangeListener = Callable[[Opened | Lost], Awaitable[None] | None]
"""Called with `Opened` and `Lost`; may be async."""

CommentListener = Callable[[str], Awaitable[None] | None]
"""Called with the text of each comment line; may be async."""

MAX_LINE_BYTES: Final = 1 << 20
MAX_EVENT_BYTES: Final = 4 << 20


class SseClientOptions(TypedDict, total=False):
    """What a client can be given beside its URL. ``None`` stands for the default.

    `http` is an `httpx2.AsyncClient` (or an httpx one) to use, which is not closed, or a function
    that makes one to be owned and closed: proxy, TLS and limits are set up there. With a `body`
    the method is POST. `on_comment` is called with the text of each comment line; it may be async,
    too. `clock` (seconds)
    and `random` (in [0, 1)) are for tests.
    """

    headers: HeadersSource | None
    settings: Settings | None
    last_event_id: str | None
    controls: bool | None
    on_change: ChangeListener | None
    on_comment: CommentListener | None
    http: HttpSource | None
    method: str | None
    body: str | bytes | None
    max_line_bytes: int | None
    max_event_bytes: int | None
    clock: Callable[[], float] | None
    random: Callable[[], float] | None


def check_options(options: SseClientOptions) -> None:
    """Raise `SettingsError` for an option of a wrong kind, `TypeError` for one that is unknown."""
    unknown = options.keys() - SseClientOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown option: {', '.join(sorted(unknown))}")
    _check(options.get("settings"), Settings, "settings", "a Settings")
    _check(options.get("last_event_id"), str, "last_event_id", "a string")
    _check(options.get("controls"), bool, "controls", "a bool")
    for bound in ("max_line_bytes", "max_event_bytes"):
        value = options.get(bound)
        if value is not None and (type(value) is not int or value < 1):
            raise SettingsError(bound, f"must be a whole number of at least 1, is {value!r}")
    for hook in ("on_change", "on_comment", "clock", "random"):
        if options.get(hook) is not None and not callable(options.get(hook)):
            raise SettingsError(hook, "must be a function")


def _check(value: object, kind: type, name: str, description: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise SettingsError(name, f"must be {description}, is {type(value).__name__}")
