"""The measurements of ``python -m bench``; each starts a fresh server and ends it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.procfs import cpu_s, rss_kb
from bench.readers import Reader, Readers
from bench.reference import reference_command
from bench.server import MUTABLE_CLIENT
from bench.tested import Server

SATURATE_S = 5.0
CALM_S = 3.0
CALM_RATE_PER_S = 50.0
LATENCY_S = 1.5
LATENCY_RATE_PER_S = 20.0
LATENCY_ROUNDS = 7
OPENING_ROUNDS = 7
MUTE_SHARE = 0.1
FILL_BYTES = 1 << 20
CATCH_UP_S = 20.0
SMALL_RECEIVE_BUFFER = 4096

HEADERS = (
    "Host: localhost\r\nAccept: text/event-stream\r\nCache-Control: no-store\r\n"
    "User-Agent: bench/1\r\nAccept-Encoding: gzip, deflate\r\n\r\n"
)
"""What browsers send as well, and the end of the head."""

_PLAIN = f"GET /events?topic=news HTTP/1.1\r\n{HEADERS}".encode()
_MUTABLE = (
    f"GET /sse/subscribe/{MUTABLE_CLIENT}?topic=fill&topic=news HTTP/1.1\r\n{HEADERS}".encode()
)


def measure(streams: int) -> dict[str, Any]:
    """Run the whole case against a fresh server."""
    server = Server([sys.executable, "-m", "bench.server"])
    try:
        readers = Readers(server.answer()["port"])
        pid = server.process.pid
        readers.open(streams // 10, _PLAIN)
        readers.close()
        figures = _connecting(server, readers, pid, streams)
        mutable = [r for r in figures.pop("mutable") if isinstance(r, Reader)]
        figures |= _loaded(server, readers, pid, SATURATE_S, do="saturate")
        calm = _loaded(server, readers, pid, CALM_S, do="pace", rate_per_s=CALM_RATE_PER_S)
        figures["calm_us_per_delivery"] = 1e6 / calm["deliveries_per_cpu_s"]
        figures["kb_per_stream"] = max(
            figures["kb_per_stream"], (rss_kb(pid) - figures["rss_kb_empty"]) / streams
        )
        figures |= _latencies(server, readers, mutable)
        readers.close()
    finally:
        server.close()
    return figures


def measure_opening(streams: int) -> dict[str, float]:
    """New streams per CPU-second, beside those of the least ASGI application.

    A machine changes its pace for seconds on end, so the two take turns; the ratio is that of
    neighbours, and of several the median.
    """
    modules = ("bench.server", "bench.asgi_reference")
    servers = [Server([sys.executable, "-m", module]) for module in modules]
    rates: list[list[float]] = [[], []]
    try:
        readers = [Readers(server.answer()["port"]) for server in servers]
        for mine in readers:
            mine.open(streams // 10, _PLAIN)
        for _ in range(OPENING_ROUNDS):
            for server, mine, found in zip(servers, readers, rates, strict=True):
                all_gone(server, mine)
                before = cpu_s(server.process.pid)
                mine.open(streams, _PLAIN)
                found.append(streams / (cpu_s(server.process.pid) - before))
                all_gone(server, mine)
    finally:
        for server in servers:
            server.close()
    ours, asgi = rates
    return {
        "new_streams_per_cpu_s": median(ours),
        "asgi_new_streams_per_cpu_s": median(asgi),
        "new_streams_over_asgi": median(a / b for a, b in zip(ours, asgi, strict=True)),
    }


def _connecting(server: Server, readers: Readers, pid: int, streams: int) -> dict[str, Any]:
    all_gone(server, readers)
    rss_empty = rss_kb(pid)
    count = round(streams * MUTE_SHARE)
    mutable = readers.open(count, _MUTABLE, receive_buffer=SMALL_RECEIVE_BUFFER)
    readers.open(streams - count, _PLAIN)
    return {
        "kb_per_stream": (rss_kb(pid) - rss_empty) / streams,
        "rss_kb_empty": rss_empty,
        "mutable": mutable,
    }


def all_gone(server: Server, readers: Readers) -> None:
    """Close all streams, and wait until the server has noticed."""
    readers.close()
    while True:
        server.ask(do="stats")
        if server.answer()["open"] == 0:
            return


def _loaded(
    server: Server, readers: Readers, pid: int, seconds: float, **command: Any
) -> dict[str, Any]:
    server.ask(do="stats")
    stats = server.answer()
    received, cpu = readers.received, cpu_s(pid)
    server.ask(seconds=seconds, **command)
    readers.run_for(seconds)
    events = server.answer()
    cpu = cpu_s(pid) - cpu
    server.ask(do="stats")
    after = server.answer()
    deliveries = after["deliveries"] - stats["deliveries"]
    sent = after["bytes"] - stats["bytes"]
    readers.run_until(lambda: readers.received - received >= sent, timeout_s=10.0)
    return {
        "deliveries": deliveries,
        "events": events,
        "gaps": after["gaps"] - stats["gaps"],
        "events_per_write": deliveries / (after["writes"] - stats["writes"]),
        "deliveries_per_cpu_s": deliveries / cpu,
        "event_bytes_on_wire": round(sent / deliveries),
    }


def _latencies(server: Server, readers: Readers, mutable: list[Reader]) -> dict[str, Any]:
    without: list[float] = []
    with_mute: list[float] = []
    for _ in range(LATENCY_ROUNDS):
        without.append(_p99_ms(server, readers))
        readers.mute(mutable)
        server.ask(do="fill", topic="fill", total_bytes=FILL_BYTES)
        server.answer()
        readers.run_for(0.2)
        if _lagging(server) < len(mutable):
            raise SystemExit("bench: streams that read nothing have not filled their sockets")
        with_mute.append(_p99_ms(server, readers))
        readers.unmute(mutable)
        # What they missed is delivered now, and must not weigh on the next round.
        readers.run_until(lambda: _lagging(server) == 0, CATCH_UP_S)
    # A machine changes its pace for seconds on end: only neighbours are compared.
    ratios = [after / before for before, after in zip(without, with_mute, strict=True)]
    return {
        "p99_ms_without_mute": median(without),
        "p99_ms_with_mute": median(with_mute),
        "p99_with_mute_over_without": median(ratios),
    }


def _lagging(server: Server) -> int:
    server.ask(do="stats")
    return int(server.answer()["lagging"])


def _p99_ms(server: Server, readers: Readers) -> float:
    """For each event the p99 over its readers; of those the median over events.

    The p99 over everything would be that of the one event in a hundred during which something
    else ran on this machine, and no measure of what streams do to each other.
    """
    latencies = readers.latencies_ns = {}
    server.ask(do="pace", seconds=LATENCY_S, rate_per_s=LATENCY_RATE_PER_S)
    readers.run_for(LATENCY_S + 0.2)
    server.answer()
    readers.latencies_ns = None
    seen_by_most = [of_event for of_event in latencies.values() if len(of_event) > len(readers) / 2]
    return median(quantiles(of_event, n=100)[98] for of_event in seen_by_most) / 1e6


def measure_reference(streams: int, event_bytes: int) -> dict[str, Any]:
    """The bare loop with the same readers, at the calm rate: one write per delivery on both."""
    with tempfile.TemporaryDirectory() as build:
        language, command = reference_command(Path(build))
        server = Server(
            [*command, str(streams), str(CALM_S), str(CALM_RATE_PER_S), str(event_bytes)]
        )
        try:
            readers = Readers(server.answer())
            readers.open(streams, _PLAIN)
            before = cpu_s(server.process.pid)
            server.ask(do="go")
            readers.run_for(CALM_S)
            deliveries = _drain_until_answer(server, readers)
            used = cpu_s(server.process.pid) - before
            readers.close()
        finally:
            server.close()
    return {"reference_language": language, "reference_us_per_delivery": used / deliveries * 1e6}


def _drain_until_answer(server: Server, readers: Readers) -> int:
    assert server.process.stdout is not None
    os.set_blocking(server.process.stdout.fileno(), False)
    line = ""
    while not line.endswith("\n"):
        readers.run_for(0.05)
        line += server.process.stdout.readline() or ""
    return int(line)
