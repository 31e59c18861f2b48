"""The load generator: many sockets, one epoll, and as little work per byte as Python allows.

Events have a fixed size on the wire, so that counting bytes counts events; only for latencies is
the newest event's timestamp looked at.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Sequence

_RECEIVE_BYTES = 1 << 18
_STAMP = b'data: {"ns":'
_STAMP_DIGITS = 20


class Reader:
    """One stream from the client's side; `timed`: its latencies count."""

    __slots__ = ("connected", "received", "sock", "timed")

    def __init__(self, sock: socket.socket, timed: bool) -> None:
        self.sock = sock
        self.timed = timed
        self.received = 0
        self.connected = False


class Readers:
    """All streams of the benchmark, against 127.0.0.1:`port`."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._epoll = select.epoll()
        self._by_fd: dict[int, Reader] = {}
        self._waiting = 0
        self.latencies_ns: dict[int, list[int]] | None = None
        """Latencies by the moment an event was published; ``None`` while nobody asks."""

    def __len__(self) -> int:
        return len(self._by_fd)

    @property
    def received(self) -> int:
        """Bytes received by all streams."""
        return sum(reader.received for reader in self._by_fd.values())

    def open(
        self, count: int, request: bytes, *, receive_buffer: int = 0, in_flight: int = 128
    ) -> list[Reader]:
        """Open `count` streams, `in_flight` at a time, and wait for the first bytes of each.

        A small `receive_buffer` (bytes; 0: the system's) fills soon, and adds delays of its own.
        """
        return self.open_each([request] * count, receive_buffer, in_flight)

    def open_each(
        self, requests: Sequence[bytes], receive_buffer: int = 0, in_flight: int = 128
    ) -> list[Reader]:
        """The same, each stream with a request of its own."""
        opened = []
        for request in requests:
            sock = socket.socket()
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.connect(self._address)
            sock.setblocking(False)
            sock.send(request)
            reader = self._by_fd[sock.fileno()] = Reader(sock, not receive_buffer)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
            opened.append(reader)
            self._waiting += 1
            self.run_until(lambda: self._waiting < in_flight, timeout_s=10.0)
        self.run_until(lambda: self._waiting == 0, timeout_s=10.0)
        return opened

    def close(self) -> None:
        """Close all streams."""
        for fd, reader in self._by_fd.items():
            self._epoll.unregister(fd)
            reader.sock.close()
        self._by_fd.clear()

    def mute(self, readers: list[Reader]) -> None:
        """Read nothing from `readers` any more."""
        for reader in readers:
            self._epoll.modify(reader.sock.fileno(), 0)

    def unmute(self, readers: list[Reader]) -> None:
        """Read from `readers` again."""
        for reader in readers:
            self._epoll.modify(reader.sock.fileno(), select.EPOLLIN)

    def run_for(self, seconds: float) -> None:
        """Read for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._poll(left)

    def run_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Read until `done`; raises `TimeoutError`."""
        end = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end:
                raise TimeoutError("the server under test does not answer")
            self._poll(0.01)

    def _poll(self, timeout_s: float) -> None:
        by_fd = self._by_fd
        for fd, _ in self._epoll.poll(timeout_s, 1024):
            reader = by_fd[fd]
            data = b""
            with contextlib.suppress(BlockingIOError):
                data = reader.sock.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionError("the server under test has ended a stream")
            reader.received += len(data)
            if not reader.connected:
                reader.connected = True
                self._waiting -= 1
            elif self.latencies_ns is not None and reader.timed:
                self._note_latency(data)

    def _note_latency(self, data: bytes) -> None:
        at = data.rfind(_STAMP)
        stamp = data[at + len(_STAMP) : at + len(_STAMP) + _STAMP_DIGITS]
        if at >= 0 and len(stamp) == _STAMP_DIGITS and self.latencies_ns is not None:
            published_ns = int(stamp)
            latency_ns = time.monotonic_ns() - published_ns
            self.latencies_ns.setdefault(published_ns, []).append(latency_ns)
