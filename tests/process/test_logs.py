"""Logs: one line a record, for a collector or a person, and never a flood."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tidegate_process.logs import (
    BY_PEERS,
    LIMITED,
    MESSAGE_LENGTH,
    OWN,
    JsonLines,
    LogRules,
    Rate,
    RateLimit,
    TextLines,
    set_up_logs,
)


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("tidegate")
    before = [*root.handlers], root.level, own.level
    yield
    root.handlers[:], root.level, own.level = before[0], before[1], before[2]


def record(name: str, message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": name, "msg": message, "args": args, **extra})
    made.levelno, made.levelname = logging.WARNING, "WARNING"
    return made


def test_a_record_is_one_json_object_with_its_extras() -> None:
    line = JsonLines(hidden=["k8s_ref"]).format(
        record("tidegate.x", "two\nlines %s", "é", pod="a", k8s_ref=object())
    )
    assert "\n" not in line
    document = json.loads(line)
    assert document.pop("time").endswith("+00:00")
    assert document == {
        "level": "warning", "logger": "tidegate.x", "message": "two\nlines é", "pod": "a",
    }  # fmt: skip


def test_a_terminal_gets_text() -> None:
    line = TextLines().format(record("tidegate.x", "hello", pod="a"))
    assert line.endswith("WARNING tidegate.x: hello pod=a")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, is_json in ((io.StringIO(), True), (Terminal(), False)):
        set_up_logs("info", stream)
        logging.getLogger("tidegate.x").info("hello")
        assert stream.getvalue().startswith("{") is is_json


def test_libraries_write_from_warning_on_and_a_muted_one_from_error_on() -> None:
    stream = io.StringIO()
    set_up_logs("debug", stream, rules=LogRules(muted="library.loud"))
    logging.getLogger("library").info("no")
    logging.getLogger("library.loud").warning("no")
    logging.getLogger("library").warning("yes")
    logging.getLogger("tidegate.x").debug("yes")
    logging.getLogger("library.loud").setLevel(logging.NOTSET)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["yes"] * 2


def test_a_closed_stream_ends_nothing() -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)
    stream.close()
    logging.getLogger("tidegate.x").info("into the void")


@pytest.mark.parametrize(
    ("name", "rate"), [("uvicorn.error", BY_PEERS), (LIMITED, BY_PEERS), ("tidegate.operator", OWN)]
)
def test_a_line_is_written_a_number_of_times_a_minute_and_then_counted(
    name: str, rate: Rate
) -> None:
    now = 0.0
    limit = RateLimit(lambda: now)
    passed = [limit.filter(record(name, "Invalid HTTP request.")) for _ in range(1000)]
    assert sum(passed) == rate.of_a_kind
    assert limit.filter(record(name, "another kind"))
    now = 60.0
    first, second = (record(name, "Invalid HTTP request.") for _ in range(2))
    assert limit.filter(first)
    assert limit.filter(second)
    assert vars(first)["suppressed"] == 1000 - rate.of_a_kind
    assert "suppressed" not in vars(second)


@pytest.mark.parametrize(("name", "rate"), [("library", BY_PEERS), ("tidegate.operator", OWN)])
def test_messages_that_are_all_different_are_no_way_around_it(name: str, rate: Rate) -> None:
    limit = RateLimit(lambda: 0.0)
    passed = [limit.filter(record(name, f"number {number}")) for number in range(10_000)]
    assert sum(passed) == rate.of_a_logger
    assert len(limit._lines) <= rate.of_a_logger + 1


def test_a_long_message_is_cut() -> None:
    line = JsonLines().format(record("tidegate.x", "%s", "x" * 100_000))
    assert len(json.loads(line)["message"]) == MESSAGE_LENGTH
