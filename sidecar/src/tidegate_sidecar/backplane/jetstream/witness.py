"""The lives of the log as the store has them, and how a lost end is noticed.

On disk they stand in the stream's metadata. That comes back with a restored copy, so it cannot tell
the log from its past. A *witness* can: a consumer of the stream in the server's memory, with the
lives in its metadata. While it stands, the server has kept running and lost nothing. When it is
gone, a pod that has read the log vouches for it by its last entry (the number and the time of
storing) and makes the witness anew; where no pod can, a new life begins at the end of the store.
Making the witness is atomic, so pods that come together agree on the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from nats.js.api import StreamInfo
from nats.js.errors import APIError, NotFoundError

from tidegate.contract.errors import DocumentError
from tidegate.stream.lives import Lives, birth_of, one_life, read_lives
from tidegate_sidecar.backplane.jetstream.connection import Connection
from tidegate_sidecar.backplane.port import epoch_of

NAME: Final = "tidegate-witness"
KEY: Final = "tidegate-lives"

VOUCH_WAIT_S: Final = 2.0
"""How long a pod without memory leaves the word to those that have read the log."""

_SAME_TIME_S: Final = 1e-5
"""Times of storing are read from two places that round differently."""

_EXISTS: Final = frozenset({10013, 10105, 10148})


class LastRead(NamedTuple):
    """The last entry that a pod has read: its number and the time it was stored (s since 1970)."""

    seq: int = 0
    stored_at: float = 0.0


class Witness:
    """Settles the lives of the log over `connection`; `name` makes its epochs its own."""

    def __init__(
        self, stream: str, connection: Connection, name: str, clock: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._name = name
        self._clock = clock
        self._made = 0
        self._waits_since: float | None = None

    async def settle(
        self, info: StreamInfo, known: Lives | None, last: LastRead, stored: int
    ) -> Lives | None:
        """The lives of the log behind the connection; ``None``: not settled, ask again soon.

        `known` are those that this pod has read up to `last`; it has had answers up to `stored`.
        """
        if info.created is None:
            raise OSError("the server gives no creation time of the stream")
        birth = epoch_of(round(info.created.timestamp() * 1_000_000))
        if known is not None and birth_of(known.epoch) != birth:
            known = None  # made anew: another log
        intact = known is None or await self._is_intact(info, last, stored)
        lives = await self._standing()
        if lives is not None and not (intact or lives.epoch != known.epoch):  # type: ignore[union-attr]
            # Another pod has vouched for a log that has lost what this one has read.
            await self._connection.context.delete_consumer(self._stream, NAME)
            lives = None
        if lives is None:
            proposed = self._proposed(info, birth, known, intact)
            if proposed is None:
                return None
            lives = await self._raise(proposed)
        self._waits_since = None
        await self._write_down(info, lives)
        return lives

    def _proposed(
        self, info: StreamInfo, birth: str, known: Lives | None, intact: bool
    ) -> Lives | None:
        end = info.state.last_seq
        if known is not None:
            return known if intact else known.begin(self._new_epoch(birth), end)
        written = _written(info, birth)
        if written is None:
            return one_life(birth)
        now = self._clock()
        self._waits_since = now if self._waits_since is None else self._waits_since
        if now - self._waits_since < VOUCH_WAIT_S:
            return None
        return written.begin(self._new_epoch(birth), end)

    async def _is_intact(self, info: StreamInfo, last: LastRead, stored: int) -> bool:
        """Whether what this pod has read and was answered for is still there."""
        if info.state.last_seq < max(last.seq, stored):
            return False
        if not last.stored_at or info.state.first_seq > last.seq:
            return True
        try:
            there = await self._connection.context.get_msg(self._stream, last.seq)
        except NotFoundError:
            return True  # deleted by hand
        stored_at = there.time.timestamp() if isinstance(there.time, datetime) else 0.0
        return abs(stored_at - last.stored_at) < _SAME_TIME_S

    async def _standing(self) -> Lives | None:
        try:
            there = await self._connection.context.consumer_info(self._stream, NAME)
            return read_lives((there.config.metadata or {}).get(KEY, ""))
        except (NotFoundError, DocumentError):
            return None

    async def _raise(self, lives: Lives) -> Lives:
        """Make the witness; returns its lives, another pod's where that was faster."""
        request = {
            "stream_name": self._stream,
            "action": "create",
            "config": {
                "name": NAME,
                "durable_name": NAME,
                "description": "in memory: gone when the server has restarted",
                "deliver_policy": "new",
                "ack_policy": "none",
                "mem_storage": True,
                "metadata": {KEY: str(lives)},
            },
        }
        reply = await self._connection.client.request(
            f"$JS.API.CONSUMER.CREATE.{self._stream}.{NAME}", json.dumps(request).encode(), 2.0
        )
        error = json.loads(reply.data).get("error")
        if error is None:
            return lives
        if error.get("err_code") not in _EXISTS:
            raise APIError.from_error(error)
        standing = await self._standing()
        if standing is None:
            raise OSError("the witness of the log has just gone")
        return standing

    async def _write_down(self, info: StreamInfo, lives: Lives) -> None:
        metadata = dict(info.config.metadata or {})
        if metadata.get(KEY) != str(lives):
            metadata[KEY] = str(lives)
            await self._connection.context.update_stream(info.config.evolve(metadata=metadata))

    def _new_epoch(self, birth: str) -> str:
        self._made += 1
        return f"{birth}.{self._name[:8]}{self._made}"


def _written(info: StreamInfo, birth: str) -> Lives | None:
    """The lives in the stream's metadata; ``None``: no pod has used it yet."""
    try:
        lives = read_lives((info.config.metadata or {}).get(KEY, ""))
    except DocumentError:
        return None
    # A copy that was restored under another birth is another log.
    return lives if lives.is_same_log(birth) else None
