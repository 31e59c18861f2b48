"""The end of the backplane's log in a pod: what it reads goes into the ring, in order, once."""

from engine.enginekit import EVERYONE, Bench

from tidegate.stream.log import LogEntry


def entries(*seqs: int) -> list[LogEntry]:
    return [LogEntry(seq, EVERYONE, f"n{seq}") for seq in seqs]


async def test_a_batch_and_the_positions_behind_it_are_taken_in() -> None:
    bench = Bench()
    reader = bench.engine.reader
    reader.reset("f", 3)
    await reader.read(entries(4, 5), 5)
    assert (bench.log.epoch, bench.log.head, len(bench.log)) == ("f", 5, 2)
    await reader.read([], 6)
    await reader.read(entries(7), 9)
    assert (bench.log.head, len(bench.log)) == (9, 3)


async def test_a_position_that_is_known_is_never_gone_back_to() -> None:
    bench = Bench()
    await bench.engine.reader.read(entries(4, 5), 5)
    await bench.engine.reader.read(entries(4), 4)
    assert (bench.log.head, len(bench.log)) == (5, 2)
    assert bench.engine.counters["repeated_events"] == 1


async def test_streams_have_a_batch_once_it_is_read_but_not_while_the_ring_is_filled() -> None:
    bench = Bench()
    _, transport = bench.open()
    await bench.engine.reader.read(entries(1), 1)
    assert b"n1" not in transport.written, "filling waits for no stream"
    filled: list[bool] = []
    bench.engine.reader.when_filled(lambda: filled.append(True))
    bench.engine.reader.filled()
    bench.engine.reader.filled()
    assert filled == [True]
    await bench.engine.reader.read(entries(2), 2)
    assert b"n1" in transport.written
    assert b"n2" in transport.written
