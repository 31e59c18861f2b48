"""The Python client on a thread of its own: iterates, and is closed from wherever that may be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest
from client.scripted_server import ended, event, scripted, stream
from kit.waiting import until

from tidegate_client import Settings, SseClient, SyncAcknowledgingSseClient, SyncSseClient

FAST = Settings(initial_delay_ms=10)

_T = TypeVar("_T")


async def in_a_thread(work: Callable[[], _T]) -> _T:
    """Work that blocks, with a bound, on a daemon: what hangs shall fail its test only."""
    outcome: Future[_T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - for the test to see
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    await until(outcome.done)
    return outcome.result()


async def test_the_synchronous_client_iterates_and_is_closed_from_another_thread() -> None:
    def follow(url: str) -> list[str]:
        ids = []
        with SyncSseClient(url, settings=FAST) as stream:
            for received in stream:
                ids.append(received.id)
                if len(ids) == 2:
                    assert stream.ready_state == "open"
                    threading.Timer(0.05, stream.close).start()
            assert stream.last_event_id == "e-2"
        return ids

    async with scripted(ended(event("e-1")), stream(event("e-2"))) as server:
        assert await in_a_thread(lambda: follow(server.url)) == ["e-1", "e-2"]


@pytest.mark.parametrize("where", ["listener", "provider", "async provider"])
async def test_closing_in_a_callback_ends_the_iteration(where: str) -> None:
    clients: list[SyncSseClient] = []

    def close(*_: object) -> Mapping[str, str]:
        # More than once: the second call finds the first at work.
        clients[0].close()
        clients[0].close()
        return {}

    async def close_later(_: int) -> Mapping[str, str]:
        return close()

    options: dict[str, dict[str, Any]] = {
        "listener": {"on_change": close},
        "provider": {"headers": close},
        "async provider": {"headers": close_later},
    }

    def follow(url: str) -> list[str]:
        clients.append(SyncSseClient(url, **options[where]))
        with clients[0] as client:
            ids = [received.id for received in client]
            client.close()
        return ids

    async with scripted(stream()) as server:
        assert await in_a_thread(lambda: follow(server.url)) == []
    assert clients[0].ready_state == "closed"


async def test_leaving_the_block_waits_for_what_a_callback_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A loop that ends with work left destroys it, connections and all."""
    original, called, finished = SseClient.aclose, 0, 0

    async def aclose(client: SseClient) -> None:
        nonlocal called, finished
        called += 1
        first = called == 1
        await original(client)
        if first:
            await until(lambda: finished == 1)
            await asyncio.sleep(0.1)  # work that outlasts the other closing
        finished += 1

    monkeypatch.setattr(SseClient, "aclose", aclose)

    def follow(url: str) -> None:
        with SyncSseClient(url, on_change=lambda _: client.close()) as client:
            assert next(client, None) is None

    async with scripted(stream()) as server:
        await in_a_thread(lambda: follow(server.url))
    assert finished == called == 2


async def test_closing_from_another_thread_while_the_block_is_left_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, called, late = SseClient.aclose, 0, threading.Event()
    closers: list[threading.Thread] = []

    class Ending:
        """The client's lock, which tells that somebody waits for it."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def __enter__(self) -> None:
            if not self._lock.acquire(blocking=False):
                late.set()
                self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    async def aclose(client: SseClient) -> None:
        nonlocal called
        called += 1
        if called > 1:
            late.set()
            await asyncio.Event().wait()  # the loop stops before this is done
        closers[0].start()
        await until(late.is_set)
        await original(client)

    monkeypatch.setattr(SseClient, "aclose", aclose)

    def follow(url: str) -> None:
        with SyncSseClient(url) as client:
            client._ending = Ending()  # type: ignore[assignment]
            closers.append(threading.Thread(target=client.close, daemon=True))

    async with scripted(stream()) as server:
        await in_a_thread(lambda: follow(server.url))
        await until(lambda: not closers[0].is_alive())
    assert called == 1


async def test_what_would_wait_in_a_callback_is_refused_and_acknowledging_is_not() -> None:
    said: list[str] = []

    def in_a_callback(_: object) -> None:
        client = clients[0]
        client.acknowledge("e-1")
        for waits in (client.flush, lambda: next(client)):
            with pytest.raises(RuntimeError, match="callback"):
                waits()
        said.append(client.last_event_id)
        client.close()

    clients: list[SyncAcknowledgingSseClient] = []

    def follow(url: str) -> None:
        clients.append(SyncAcknowledgingSseClient(url, settings=FAST, on_change=in_a_callback))
        with clients[0] as client:
            assert next(client, None) is None

    async with scripted(stream(), ended()) as server:
        await in_a_thread(lambda: follow(f"{server.url}?stream=s"))
    assert len(said) >= 1


def test_the_synchronous_client_wants_a_with_block() -> None:
    with pytest.raises(RuntimeError, match="with block"):
        next(iter(SyncSseClient("http://127.0.0.1:1/")))
