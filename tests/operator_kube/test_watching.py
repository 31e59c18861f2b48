"""The watches, as far as they need no API server."""

from __future__ import annotations

import asyncio
import getpass
from typing import Any

import kopf
import pytest

from tidegate_kubernetes.api import Access
from tidegate_operator.kube.watched.watching import watch


class Nowhere(Access):
    """An API server that nobody listens at."""

    def kopf_login(self, **kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.ConnectionInfo(server="http://127.0.0.1:1")


async def test_a_user_without_a_name_may_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", nameless)
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(20):
        await watch(Nowhere(None), ("shop",), lambda *_: None, stop)
