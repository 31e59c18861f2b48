"""Acknowledged cursors in JetStream: one message per key, laid out as a NATS KV bucket.

The stream beside the log holds the last position per subject and no history; it is bounded in age
and size, and the oldest position goes first, of a client that has too many names its own. A
position is replaced only by the one that saw it (the server compares the subject's last sequence),
so pods that write at the same time cannot send a client back. Being laid out as a bucket (NATS
ADR-8) it can be read with ``nats kv``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import Header, StreamInfo
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from tidegate.contract.acknowledge import MAX_NAMES_PER_CLIENT, NAMES_LEFT, StreamKey
from tidegate.contract.errors import BackplaneUnavailableError
from tidegate.stream.acknowledged import advances
from tidegate.wire.cursors import Cursor, parse_cursor
from tidegate_sidecar.backplane.jetstream.connection import Connection
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

MAX_KNOWN: Final = 20_000
"""Positions remembered to spare a read before each write: one per stream that a pod may hold."""

WRITE_LIMIT_S: Final = 4.0
READ_LIMIT_S: Final = 2.0
"""A stream that waits to begin should not wait longer than a client waits before it retries."""

_RETRY_S: Final = 0.1
_STREAM_NOT_FOUND: Final = 10059
_WRONG_LAST_SEQUENCE: Final = 10071

MAX_KEPT_BYTES: Final = 256
"""The most that one position takes in the store."""

_MIB: Final = 2**20

_log = logging.getLogger("tidegate.backplane")

_Known = tuple[Cursor | None, int]
"""What stands under a key, and at which sequence (0: nothing)."""


class JetStreamAcks:
    """Implements `Acks` over `connection`; makes the stream where there is none."""

    def __init__(
        self,
        settings: JetStreamSettings,
        connection: Connection,
        counters: dict[str, int],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._counters = counters
        self._known: OrderedDict[StreamKey, _Known] = OrderedDict()
        self._said = ""

    async def keep(self, key: StreamKey, given: Cursor, epoch: str) -> None:
        """Keep `given` unless something further is kept; raises `BackplaneUnavailableError`."""
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                while True:
                    if await self._try_to_keep(key, given, epoch):
                        return
                    await asyncio.sleep(_RETRY_S)
        except (NatsError, OSError, ValueError) as error:
            self._known.pop(key, None)
            raise self._unavailable(error) from error

    async def read(self, key: StreamKey) -> Cursor | None:
        """The position kept, from the server; raises `BackplaneUnavailableError`."""
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                self._check_connected()
                return (await self._look_up(key))[0]
        except (NatsError, OSError, ValueError) as error:
            raise self._unavailable(error) from error

    async def may_have_evicted(self, key: StreamKey) -> bool:
        """Whether there is no room left, for all or for this client."""
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                self._check_connected()
                info = await self._info(key)
        except NotFoundError:
            return False  # nothing was ever kept
        except (NatsError, OSError, ValueError) as error:
            raise self._unavailable(error) from error
        is_full = info.state.bytes + MAX_KEPT_BYTES > (info.config.max_bytes or 0)
        return is_full or _names(info) >= NAMES_LEFT

    async def _info(self, key: StreamKey) -> StreamInfo:
        name, subjects = self._settings.acks_stream, self._settings.acks_subjects(key.client)
        return await self._connection.context.stream_info(name, subjects)

    async def _make_room(self, key: StreamKey) -> None:
        """Keep the client's share before `key` is new in it."""
        names = _names(await self._info(key))
        if names < MAX_NAMES_PER_CLIENT:
            return
        subjects = self._settings.acks_subjects(key.client)
        await self._connection.context.purge_stream(
            self._settings.acks_stream, subject=subjects, keep=NAMES_LEFT
        )
        self._counters["acks_evicted"] += names - NAMES_LEFT

    async def _try_to_keep(self, key: StreamKey, given: Cursor, epoch: str) -> bool:
        """Whether the server has it now; `False`: another pod wrote at the same time."""
        self._check_connected()
        kept, revision = self._known.get(key, (None, 0))
        if not revision or not advances(kept, given, epoch):
            # What is remembered may have expired: only the server can confirm that it is kept.
            kept, revision = await self._look_up(key)
            if not advances(kept, given, epoch):
                return True
        try:
            if not revision:
                await self._make_room(key)
            revision = await self._write(key, given, revision)
        except APIError as error:
            if error.err_code != _WRONG_LAST_SEQUENCE:
                raise
            self._known.pop(key, None)
            self._counters["acks_contended"] += 1
            return False
        self._remember(key, (given, revision))
        self._counters["acks_kept"] += 1
        return True

    async def _write(self, key: StreamKey, given: Cursor, revision: int) -> int:
        headers = {
            Header.EXPECTED_STREAM.value: self._settings.acks_stream,
            Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision),
        }
        subject, body = self._settings.acks_subject(key), str(given).encode()
        try:
            stored = await self._connection.context.publish(subject, body, headers=headers)
        except NoStreamResponseError:
            await self._make_stream()
            stored = await self._connection.context.publish(subject, body, headers=headers)
        return stored.seq

    async def _look_up(self, key: StreamKey) -> _Known:
        try:
            # Not the direct form, which any replica may answer with an older state.
            message = await self._connection.context.get_last_msg(
                self._settings.acks_stream, self._settings.acks_subject(key)
            )
        except NotFoundError as error:
            if error.err_code == _STREAM_NOT_FOUND:
                await self._make_stream()
            return None, 0
        cursor = parse_cursor((message.data or b"").decode("utf-8", "replace"))
        return cursor if isinstance(cursor, Cursor) else None, message.seq or 0

    async def _make_stream(self) -> None:
        await self._connection.context.add_stream(self._settings.acks_stream_config())

    def _remember(self, key: StreamKey, known: _Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _check_connected(self) -> None:
        if not self._connection.is_connected:
            raise OSError("no connection")

    def _unavailable(self, error: Exception) -> BackplaneUnavailableError:
        self._counters["acks_unavailable"] += 1
        if isinstance(error, APIError) and error.description != self._said:
            # Said once for each cause: every acknowledgement meets it again.
            self._said = error.description or ""
            _log.warning(
                "acknowledged positions cannot be kept: %s, which reserves %d MiB: %s",
                self._settings.acks_stream,
                self._settings.keep_acks_bytes // _MIB,
                self._said,
            )
        words = error.description if isinstance(error, APIError) else None
        detail = f"refuses: {words}" if words else "does not answer"
        return BackplaneUnavailableError(f"the store of acknowledged positions {detail}")


def _names(info: StreamInfo) -> int:
    return len(info.state.subjects or ())
