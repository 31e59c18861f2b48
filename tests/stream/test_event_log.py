import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import CallerError
from tidegate.contract.publish import To
from tidegate.stream.log import EventLog, LogEntry
from tidegate.wire.decode import Decoder, Event
from tidegate.wire.http import unframe

EVERYONE = To(everyone=True)
TOPICS = ("a", "b", "c")
CLIENTS = ("1", "2")

audiences = st.tuples(
    st.sets(st.sampled_from(TOPICS)).map(lambda s: tuple(sorted(s))),
    st.none() | st.sampled_from(CLIENTS),
)
tos = st.one_of(
    st.just(EVERYONE),
    st.sampled_from(CLIENTS).map(lambda c: To(client=c)),
    st.lists(st.sampled_from(TOPICS), min_size=1, max_size=4).map(lambda t: To(topics=tuple(t))),
)


def seqs(data: bytes) -> list[int]:
    items = Decoder().feed(unframe(data))
    return [int(item.id.rpartition("-")[2]) for item in items if isinstance(item, Event)]


def concerns(to: To, topics: tuple[str, ...], client: str | None) -> bool:
    mine = client is not None and to.client == client
    return to.everyone or mine or bool(set(to.topics) & set(topics))


@given(st.lists(st.tuples(st.integers(1, 3), tos), max_size=40), audiences, st.data())
def test_an_audience_lacks_what_concerns_it_once_and_in_order(
    script: list[tuple[int, To]],
    audience: tuple[tuple[str, ...], str | None],
    data: st.DataObject,
) -> None:
    topics, client = audience
    log = EventLog("e", max_events=data.draw(st.integers(1, 50)))
    seq, kept = 0, []
    for step, to in script:
        seq += step
        log.append(LogEntry(seq, to, "x"))
        kept.append((seq, to))
    position = data.draw(st.integers(log.floor, max(log.head, log.floor)))
    expected = [s for s, to in kept if s > position and concerns(to, topics, client)]
    got: list[int] = []
    limit = data.draw(st.integers(1, 10))
    size = data.draw(st.sampled_from([1, 60, 10_000]))
    for _ in range(200):
        batch = log.lacking(topics, client, position, max_events=limit, max_bytes=size)
        assert batch.count == len(seqs(batch.data)) <= limit
        got += seqs(batch.data)
        position = batch.position
        if batch.complete:
            break
    assert got == expected
    assert position == log.head


@given(st.lists(tos, max_size=30), audiences, st.integers(0, 10), st.integers(1, 600))
def test_the_newest_start_fits_both_bounds_and_none_lower_does(
    script: list[To], audience: tuple[tuple[str, ...], str | None], events: int, size: int
) -> None:
    topics, client = audience
    log = EventLog("e")
    for number, to in enumerate(script, start=1):
        log.append(LogEntry(number, to, "x" * number))
    start = log.newest_start(topics, client, 0, max_events=events, max_bytes=size)

    def fits(position: int) -> bool:
        batch = log.lacking(topics, client, position, max_events=100, max_bytes=10**6)
        return batch.count <= events and len(batch.data) <= size

    assert fits(start)
    assert start == 0 or not fits(start - 1)


def test_the_ring_is_bounded_in_events() -> None:
    log = EventLog("e", max_events=3)
    for seq in range(1, 6):
        log.append(LogEntry(seq, To(client=str(seq)), "x"))
    assert (len(log), log.floor, log.head) == (3, 2, 5)


def test_the_ring_is_bounded_in_bytes() -> None:
    log = EventLog("e", max_bytes=2500)
    for seq in range(1, 100):
        log.append(LogEntry(seq, EVERYONE, "x" * 100))
        assert log.bytes <= 2500
    assert log.floor == 99 - len(log)


def test_a_repeated_event_is_known_by_its_position() -> None:
    log = EventLog("e", 5)
    assert log.append(LogEntry(5, EVERYONE, "x")) is None
    assert log.append(LogEntry(6, EVERYONE, "x")) is not None
    assert log.append(LogEntry(6, EVERYONE, "x")) is None
    assert len(log) == 1


def test_what_cannot_be_sent_changes_nothing() -> None:
    log = EventLog("e")
    with pytest.raises(CallerError):
        log.append(LogEntry(1, EVERYONE, "x", "a\nb"))
    assert (log.head, len(log)) == (0, 0)


def test_a_position_may_pass_without_an_event() -> None:
    log = EventLog("e")
    log.append(LogEntry(1, EVERYONE, "x"))
    log.advance(7)
    log.advance(3)
    batch = log.lacking((), None, 1, max_events=10, max_bytes=100)
    assert (batch.position, batch.complete, log.cursor(log.head)) == (7, True, "e-7")


def test_a_reset_forgets_everything() -> None:
    log = EventLog("e")
    log.append(LogEntry(9, To(topics=("a",)), "x"))
    log.reset("f", 2)
    assert (log.epoch, log.floor, log.head, len(log), log.bytes) == ("f", 2, 2, 0, 0)
    assert not log.lacking(("a",), None, 2, max_events=1, max_bytes=1).count
