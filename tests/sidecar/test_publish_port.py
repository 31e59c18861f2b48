"""The publish port: ids for good events, a named field for bad ones, nothing lost in between."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from kit.fake_streams import BrokenBackplane, FakeStreams
from kit.recorder import Recorder

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.errors import BackplaneUnavailableError
from tidegate.contract.publish import MAX_ADDRESS_BYTES, Publish
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.drain import Drain
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane.memory.log import MemoryLog
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.publish import PublishPort

NDJSON = {"content-type": "application/x-ndjson"}


class Port:
    def __init__(self, backplane: Any, streams: FakeStreams) -> None:
        self.metrics = Metrics(Drain(DrainSettings(), StreamSettings()), streams, backplane)
        app = PublishPort(backplane, streams, self.metrics, max_event_bytes=100).app()
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:9191"
        )

    def refusals(self, error: str) -> float | None:
        labels = {"port": "publish", "error": error}
        return self.metrics.registry.get_sample_value("tidegate_requests_refused_total", labels)


class Log(MemoryLog):
    """A log in memory, and what was read from it."""

    def __init__(self) -> None:
        super().__init__(time.monotonic, epoch_seed=1)
        self.recorder = Recorder()


@pytest_asyncio.fixture
async def log() -> AsyncIterator[Log]:
    log = Log()
    await log.start(log.recorder)
    yield log
    await log.stop()


@pytest.fixture
def port(log: Log) -> Port:
    return Port(log, FakeStreams(3, clients=["42", "a:b"]))


async def test_one_event_is_answered_with_its_id(port: Port, log: Log) -> None:
    answer = await port.http.post("/publish", json={"to": "all", "data": {"x": 1}, "event": "e"})
    assert (answer.status_code, answer.json()) == (202, {"id": "1-1"})
    await log.recorder.until(lambda r: r.data == ['{"x":1}'])
    assert port.metrics.registry.get_sample_value("tidegate_published_total") == 1


@pytest.mark.parametrize(
    ("body", "status", "error", "field"),
    [
        (b"{", 400, "bad_json", None),
        (b"[" * 200, 400, "bad_json", None),
        (b"\xff\xfe", 400, "bad_json", None),
        (b'{"to":"all","data":NaN}', 400, "bad_json", "data"),
        (b'{"to":"all","data":{"x":[-Infinity]}}', 400, "bad_json", "data"),
        (b'{"to":"all","data":[1e999]}', 400, "bad_json", "data"),
        (b'{"to":NaN,"data":""}', 400, "bad_to", "to"),
        (b'{"to":"all","data":"","\\ud800":1}', 400, "unknown_field", "\\ud800"),
        (b'{"to":"all","data":"","\xed\xa0\x80":1}', 400, "unknown_field", "\\ud800"),
        (b'{"to":"all","data":"\\ud800"}', 400, "bad_text", "data"),
        (b'{"to":"all","data":{"\\udfff":["\\ud800"]}}', 400, "bad_text", "data"),
        (b'{"to":{"client":"\\ud800"},"data":""}', 400, "bad_client", "to.client"),
        (b'{"to":{"topics":["\\ud800"]},"data":""}', 400, "bad_topic", "to.topics"),
        (b'{"to":"all","data":"","event":"\\ud800"}', 400, "bad_event", "event"),
        (b'{"to":"all","data":"","key":"\\ud800"}', 400, "bad_key", "key"),
        (b'{"to":"all"}', 400, "missing_field", "data"),
        (b'{"to":"everyone","data":""}', 400, "bad_to", "to"),
        (b'{"to":{"client":"a/b"},"data":""}', 400, "bad_client", "to.client"),
        (b'{"to":{"topics":[""]},"data":""}', 400, "bad_topic", "to.topics"),
        (b'{"to":"all","data":"","event":"a\\nb"}', 400, "bad_event", "event"),
        (b'{"to":"all","data":"","event":"shutdown"}', 400, "reserved_event", "event"),
        (b'{"to":"all","data":"","event":"tidegate.x"}', 400, "reserved_event", "event"),
        (b'{"to":"all","data":"","key":"a\\u0000"}', 400, "bad_key", "key"),
        (b'{"to":"all","data":"%s"}' % (b"x" * 101), 413, "event_too_large", "data"),
        (b" " * (MAX_ADDRESS_BYTES + 1000), 413, "body_too_large", None),
    ],
    ids=lambda v: str(v)[:24],
)
async def test_a_callers_mistake_is_named_and_counted(
    port: Port, body: bytes, status: int, error: str, field: str | None
) -> None:
    answer = await port.http.post("/publish", content=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["field"] == field
    assert answer.json()["detail"]
    assert port.refusals(error) == 1


async def test_the_largest_event_fits_however_it_is_escaped(port: Port) -> None:
    body = '{"to":"all","data":"' + "\\u0001" * 100 + '"}'
    assert (await port.http.post("/publish", content=body)).status_code == 202


async def test_lines_answer_for_themselves_in_order(port: Port, log: Log) -> None:
    lines = [{"to": "all", "data": str(i)} for i in range(2500)]
    lines[3] = {"to": "nobody", "data": "x"}
    body = "\n".join(json.dumps(line) for line in lines) + "\n\n"
    answer = await port.http.post("/publish", content=body, headers=NDJSON)
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.status_code == 202
    assert results[3]["error"] == "bad_to"
    good = [r["id"] for i, r in enumerate(results) if i != 3]
    assert good == [f"1-{seq}" for seq in range(1, 2500)]
    await log.recorder.until(lambda r: len(r.entries) == 2499)
    assert log.recorder.data == [line["data"] for line in lines if line["to"] == "all"]


async def test_a_batch_without_a_good_line_is_not_a_success(port: Port) -> None:
    answer = await port.http.post("/publish", content="{}\n[]\n", headers=NDJSON)
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 2
    answer = await port.http.post("/publish", content="\n\n", headers=NDJSON)
    assert (answer.status_code, answer.json()["error"]) == (400, "empty_batch")


async def test_when_the_log_does_not_acknowledge_the_answer_has_a_time_to_retry() -> None:
    port = Port(BrokenBackplane(BackplaneUnavailableError("away", 1.2)), FakeStreams())
    one = {"to": "all", "data": ""}
    answer = await port.http.post("/publish", json=one)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["error"] == "unavailable"
    batch = await port.http.post("/publish", content=json.dumps(one) + "\n{}", headers=NDJSON)
    assert [json.loads(line)["error"] for line in batch.text.splitlines()] == [
        "unavailable",
        "missing_field",
    ]
    assert port.refusals("unavailable") == 2
    assert (batch.status_code, batch.headers["retry-after"]) == (503, "1"), "the worst advice loses"


async def test_a_batch_of_which_a_part_was_accepted_asks_for_the_rest_again(log: Log) -> None:
    class Failing(MemoryLog):
        async def append(self, publish: Publish) -> Cursor:
            if publish.data == "later":
                raise BackplaneUnavailableError("away")
            return await log.append(publish)

    port = Port(Failing(time.monotonic, 1), FakeStreams())
    lines = [{"to": "all", "data": data} for data in ("now", "later")] + [{}]
    body = "\n".join(map(json.dumps, lines))
    answer = await port.http.post("/publish", content=body, headers=NDJSON)
    first, second, third = (json.loads(line) for line in answer.text.splitlines())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert first == {"id": "1-1"}
    assert (second["error"], third["error"]) == ("unavailable", "missing_field")


async def test_clients_are_listed_counted_and_ended(port: Port) -> None:
    assert (await port.http.get("/clients")).json() == {
        "clients": {"42": 1, "a:b": 1},
        "streams": 3,
    }
    listed = (await port.http.get("/clients/a:b")).json()
    assert listed["streams"] == [
        {"stream": "s1", "topics": ["a"], "age_s": 1.5, "cursor": "e-3", "lagging": False}
    ]
    assert (await port.http.delete("/clients/a:b")).json() == {"ended": 1}
    assert (await port.http.delete("/clients/a:b")).json() == {"ended": 0}
    assert (await port.http.get("/clients/a:b")).status_code == 404
    bad = await port.http.get("/clients/a%2Fb")
    assert (bad.status_code, bad.json()["field"]) == (400, "client_id")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/publish", 405), ("GET", "/nope", 404), ("PUT", "/clients/42", 405)],
)
async def test_what_is_not_served_is_json_too(
    port: Port, method: str, path: str, status: int
) -> None:
    answer = await port.http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "detail", "field"}


async def test_an_event_has_a_bounded_number_of_topics(port: Port) -> None:
    topics = [f"{n:0128}" for n in range(1001)]
    answer = await port.http.post("/publish", json={"to": {"topics": topics}, "data": ""})
    assert (answer.status_code, answer.json()["error"]) == (400, "too_many_topics")
    assert answer.json()["field"] == "to.topics"
    longest = json.dumps({"to": {"topics": topics[1:]}, "data": "", "event": "e" * 256})
    answer = await port.http.post("/publish", content=longest)
    assert answer.status_code == 202, "the largest audience fits into a body"


async def test_a_batch_has_a_bounded_number_of_lines(port: Port, log: Log) -> None:
    answer = await port.http.post("/publish", content="1\n" * 524_288, headers=NDJSON)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_many_lines")
    assert port.refusals("bad_json") is None, "no line of it was read"
    answer = await port.http.post("/publish", content="1\n" * 10_000, headers=NDJSON)
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 10_000


async def test_the_loop_turns_while_a_batch_is_read(port: Port) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(count_turns())
    await port.http.post("/publish", content="1\n" * 5000, headers=NDJSON)
    beside.cancel()
    assert turns >= 5000 / 50
