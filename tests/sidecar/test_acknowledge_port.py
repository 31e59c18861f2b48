"""The acknowledge port: an answered position is kept, a chatty client is one write a second."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Protocol

import httpx2
import pytest
import pytest_asyncio
from kit.fake_streams import BrokenBackplane, FakeStreams
from kit.waiting import until

from tidegate.contract.acknowledge import MAX_HELD_PER_STREAM, MAX_NAMES_PER_CLIENT, StreamKey
from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.errors import BackplaneUnavailableError
from tidegate.contract.publish import To
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.drain import Drain
from tidegate.stream.log import EventLog, LogEntry
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane.memory.acks import MemoryAcks
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.acknowledge import Acknowledgements, AcknowledgePort

KEY = StreamKey("42", "orders")
PATH = "/sse/subscribe/42/ack?stream=orders"


class Store(MemoryAcks):
    """A store that remembers the writes, and can be slow or away."""

    def __init__(self) -> None:
        super().__init__(time.monotonic, {"acks_kept": 0, "acks_evicted": 0})
        self.writes: list[tuple[StreamKey, str]] = []
        self.written_at: list[float] = []
        self.away = False
        self.slow = asyncio.Event()
        self.slow.set()

    async def keep(self, key: StreamKey, given: Cursor, epoch: str) -> None:
        self.writes.append((key, str(given)))
        self.written_at.append(time.monotonic())
        await self.slow.wait()
        if self.away:
            raise BackplaneUnavailableError("away")
        await super().keep(key, given, epoch)

    async def read(self, key: StreamKey) -> Cursor | None:
        if self.away:
            raise BackplaneUnavailableError("away")
        return await super().read(key)


class Port:
    def __init__(self, store: Store, every_s: float) -> None:
        self.store = store
        log = EventLog("1")
        for seq in range(1, 10):
            log.append(LogEntry(seq, To(everyone=True), "x"))
        self.newest = Cursor("1", 12)
        self.acks = Acknowledgements(store, log, self.ask_newest, every_s=every_s)
        self.metrics = Metrics(
            Drain(DrainSettings(), StreamSettings()), FakeStreams(), BrokenBackplane(None)
        )
        app = AcknowledgePort(self.acks, self.metrics).app()
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://public"
        )

    async def ask_newest(self) -> Cursor:
        if self.store.away:
            raise BackplaneUnavailableError("away")
        return self.newest

    async def post(self, event_id: str, path: str = PATH) -> httpx2.Response:
        return await self.http.post(path, json={"id": event_id})

    def refusals(self, error: str) -> float | None:
        labels = {"port": "public", "error": error}
        return self.metrics.registry.get_sample_value("tidegate_requests_refused_total", labels)


class MakePort(Protocol):
    def __call__(self, every_s: float = 0.0) -> Port: ...


@pytest.fixture
def store() -> Store:
    return Store()


@pytest_asyncio.fixture
async def make(store: Store) -> AsyncIterator[MakePort]:
    ports: list[Port] = []

    def make_port(every_s: float = 0.0) -> Port:
        ports.append(Port(store, every_s))
        return ports[-1]

    yield make_port
    for port in ports:
        await port.acks.stop()
        await port.http.aclose()


async def test_a_stream_whose_position_was_evicted_goes_on_from_the_begin_of_the_log(
    make: MakePort, store: Store
) -> None:
    port = make()
    assert (await port.acks.recall(KEY)).event_id is None
    for number in range(MAX_NAMES_PER_CLIENT + 1):
        await store.keep(StreamKey("42", f"s{number}"), Cursor("1", 3), "1")
    assert (await port.acks.recall(KEY)).event_id == "1-0"
    assert (await port.acks.recall(StreamKey("43", "orders"))).event_id is None


async def test_a_position_answered_with_204_is_kept(make: MakePort, store: Store) -> None:
    answer = await make().post("1-3")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await store.read(KEY) == Cursor("1", 3)
    answer = await make().post("1-2", "/sse/subscribe/a%40b/ack?topic=x&stream=orders&stream=no")
    assert answer.status_code == 204
    assert await store.read(StreamKey("a@b", "orders")) == Cursor("1", 2)


@pytest.mark.parametrize(
    ("path", "body", "status", "error", "field"),
    [
        (PATH, b"{", 400, "bad_json", None),
        (PATH, b"\xff", 400, "bad_json", None),
        (PATH, b"[" * 1000, 400, "bad_json", None),
        (PATH, b'"1-3"', 400, "bad_json", None),
        (PATH, b"{}", 400, "missing_field", "id"),
        (PATH, b'{"id":"1-3","at":1}', 400, "unknown_field", "at"),
        (PATH, b'{"\\ud800":1}', 400, "unknown_field", "\\ud800"),
        (PATH, b'{"id":13}', 400, "bad_id", "id"),
        (PATH, b'{"id":NaN}', 400, "bad_id", "id"),
        (PATH, b'{"id":"\\ud800"}', 400, "bad_id", "id"),
        (PATH, b'{"id":""}', 400, "bad_id", "id"),
        (PATH, b'{"id":"not-ours"}', 400, "bad_id", "id"),
        (PATH, b'{"id":"1-13"}', 400, "bad_id", "id"),
        (PATH, b'{"id":"' + b"x" * 1100 + b'"}', 413, "body_too_large", None),
        ("/sse/subscribe/42/ack", b'{"id":"1-3"}', 400, "missing_field", "stream"),
        ("/sse/subscribe/42/ack?stream=", b'{"id":"1-3"}', 400, "bad_stream", "stream"),
        ("/sse/subscribe/42/ack?stream=a%2Fb", b'{"id":"1-3"}', 400, "bad_stream", "stream"),
        (f"/sse/subscribe/42/ack?stream={'x' * 65}", b"{}", 400, "bad_stream", "stream"),
        ("/sse/subscribe//ack?stream=s", b'{"id":"1-3"}', 400, "bad_client", "client_id"),
        ("/sse/subscribe/a%2Fb/ack?stream=s", b'{"id":"1-3"}', 400, "bad_client", "client_id"),
    ],
)
async def test_a_mistake_is_answered_with_its_field_and_keeps_nothing(
    make: MakePort, store: Store, path: str, body: bytes, status: int, error: str, field: str | None
) -> None:
    port = make()
    answer = await port.http.post(path, content=body)
    document = answer.json()
    assert (answer.status_code, document["error"], document["field"]) == (status, error, field)
    assert document["detail"]
    assert store.writes == []
    assert port.refusals(error) == 1


async def test_another_method_is_refused_with_the_allowed_one(make: MakePort) -> None:
    answer = await make().http.get(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"] == "bad_method"


async def test_a_client_that_leaves_or_dawdles_in_its_body_is_let_go(
    make: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = make()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr("tidegate_sidecar.ports.acknowledge.BODY_LIMIT_S", 0.05)
    answer = await port.http.post(PATH, content=never())
    assert (answer.status_code, answer.json()["error"]) == (408, "slow_body")


async def test_a_chatty_client_is_one_write_a_turn_and_every_answer_is_true(
    make: MakePort, store: Store
) -> None:
    port = make(every_s=60.0)
    assert (await port.post("1-1")).status_code == 204
    waiting = [asyncio.create_task(port.post(f"1-{seq}")) for seq in (2, 5, 3, 4)]
    await until(lambda: sum(turn.held for turn in port.acks._turns.values()) == 4)
    assert store.writes == [(KEY, "1-1")]
    port.acks.hurry()
    answers = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [204] * 4
    assert store.writes == [(KEY, "1-1"), (KEY, "1-5")]
    assert await store.read(KEY) == Cursor("1", 5)


async def test_writes_of_a_stream_are_apart_by_the_interval(make: MakePort, store: Store) -> None:
    port = make(every_s=0.1)
    for seq in (1, 2, 3):
        assert (await port.post(f"1-{seq}")).status_code == 204
    first, second, third = store.written_at
    assert min(second - first, third - second) > 0.09


async def test_streams_do_not_wait_for_each_other(make: MakePort, store: Store) -> None:
    port = make(every_s=60.0)
    answers = [await port.post("1-1", f"/sse/subscribe/{n}/ack?stream=s") for n in range(20)]
    assert {answer.status_code for answer in answers} == {204}
    assert len(store.writes) == 20


async def test_more_than_a_few_at_a_time_are_refused(make: MakePort, store: Store) -> None:
    port = make()
    store.slow.clear()
    first = asyncio.create_task(port.post("1-1"))
    await until(lambda: store.writes)
    held = [asyncio.create_task(port.post("1-2")) for _ in range(MAX_HELD_PER_STREAM + 1)]
    await until(lambda: any(task.done() for task in held))
    refused = next(task for task in held if task.done()).result()
    assert (refused.status_code, refused.json()["field"]) == (429, "stream")
    store.slow.set()
    others = [task.result() for task in (await asyncio.wait([first, *held]))[0]]
    assert sorted(answer.status_code for answer in others) == [204] * 9 + [429]


async def test_a_pod_holds_a_bounded_number(
    make: MakePort, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate_sidecar.ports.acknowledge.MAX_HELD", 1)
    port = make()
    store.slow.clear()
    first = asyncio.create_task(port.post("1-1"))
    await until(lambda: store.writes)
    answer = await port.post("1-1", "/sse/subscribe/7/ack?stream=s")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    store.slow.set()
    assert (await first).status_code == 204
    assert (await port.post("1-1", "/sse/subscribe/7/ack?stream=s")).status_code == 204


async def test_without_its_store_nothing_is_promised(make: MakePort, store: Store) -> None:
    port = make()
    store.away = True
    answer = await port.post("1-1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"] == "unavailable"
    store.away = False
    assert (await port.post("1-1")).status_code == 204
    assert await store.read(KEY) == Cursor("1", 1)


async def test_a_client_that_leaves_while_waiting_disturbs_no_other(
    make: MakePort, store: Store
) -> None:
    port = make()
    store.slow.clear()
    one, two = (asyncio.create_task(port.post("1-2")) for _ in range(2))
    await until(lambda: store.writes)
    one.cancel()
    await asyncio.wait([one])
    store.slow.set()
    assert (await two).status_code == 204


async def test_a_pod_that_ends_writes_what_it_holds(make: MakePort, store: Store) -> None:
    port = make(every_s=60.0)
    await port.post("1-1")
    waiting = asyncio.create_task(port.post("1-2"))
    await until(lambda: port.acks._turns)
    port.acks.hurry()
    assert (await waiting).status_code == 204
    assert await store.read(KEY) == Cursor("1", 2)


async def test_recalling(make: MakePort, store: Store) -> None:
    port = make()
    assert (await port.acks.recall(KEY)).event_id is None
    await port.post("1-4")
    recalled = await port.acks.recall(KEY)
    assert (recalled.event_id, recalled.reached) == ("1-4", True)
    store.away = True
    assert not (await port.acks.recall(KEY)).reached


def test_the_body_is_the_one_that_clients_send() -> None:
    from tidegate.contract.acknowledge import acknowledgement_json, read_acknowledgement

    assert acknowledgement_json("1-3") == '{"id":"1-3"}'
    assert read_acknowledgement(acknowledgement_json("é").encode()) == "é"
    assert json.loads(acknowledgement_json('a"b')) == {"id": 'a"b'}
