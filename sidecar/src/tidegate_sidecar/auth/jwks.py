"""An issuer's keys from its JWKS endpoint, fetched in the background and never in a request.

The endpoint's troubles must not become the clients': the last good set serves for a day, and while
it is unknown whether a key exists a client is sent away for a moment and not refused. A token whose
key is unknown has the set fetched once more, at most every half minute, since anybody can make up a
key's name; only a set that was fetched after the token was first seen can refuse it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from tidegate.auth.tokens import read_object
from tidegate.contract.errors import CallerError
from tidegate_sidecar.auth.fetching import FetchError, fetch
from tidegate_sidecar.auth.keys import KeyProblem, VerifyingKey, public_only, read_jwk

EVERY_S: Final = 300.0
JITTER: Final = 0.1
"""Pods that started together do not ask together."""

UNKNOWN_KEY_EVERY_S: Final = 30.0
FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 30.0
GOOD_FOR_S: Final = 86_400.0
MAX_KEYS: Final = 32
MOST_UNKNOWN: Final = 256
"""Names of unknown keys that are remembered."""

_log = logging.getLogger("tidegate.auth")


class RemoteKeys:
    """The keys at `url`; `on_keys` gets each new set. `clock` is in seconds and only grows."""

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext | None,
        on_keys: Callable[[tuple[VerifyingKey, ...]], None],
        clock: Callable[[], float],
    ) -> None:
        self._url = url
        self._tls = tls
        self._on_keys = on_keys
        self._clock = clock
        self._keys: tuple[VerifyingKey, ...] = ()
        self._good_at: float | None = None
        self._asked_at = float("-inf")
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._wake = asyncio.Event()
        self.problem: str | None = None
        self.fetched = self.failed = 0

    @property
    def is_loaded(self) -> bool:
        """Whether a set is in force: fetched once, and not longer ago than a day."""
        return self._good_at is not None

    async def run(self) -> None:
        """Fetch until cancelled."""
        failures = 0
        while True:
            failures = 0 if await self.refresh() else failures + 1
            if failures == 0:
                wait_s = EVERY_S * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            else:
                wait_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures - 1, 10))
            await self._wait(wait_s)

    async def refresh(self) -> bool:
        """Fetch once; whether that went well. A bad answer changes nothing for a day."""
        asked_at = self._asked_at = self._clock()
        self._wake.clear()
        try:
            keys = read_jwks(await fetch(self._url, self._tls))
        except (FetchError, KeyProblem) as error:
            self._failed(str(error))
            return False
        self.fetched += 1
        self._good_at = asked_at
        self.problem = None
        if keys != self._keys:
            self._keys = keys
            self._on_keys(keys)
        return True

    def may_come(self, kid: str | None) -> bool:
        """Whether the key of a token, unknown now, may be in a set that is still to be fetched.

        Asks for that to be done. A token that names no key has none to wait for.
        """
        if not self.is_loaded:
            return True
        if kid is None:
            return False
        now, seen_at = self._clock(), self._unknown.get(kid)
        if seen_at is None:
            seen_at = self._unknown[kid] = now
            if len(self._unknown) > MOST_UNKNOWN:
                self._unknown.popitem(last=False)
        if self._good_at is not None and self._good_at > seen_at:
            return False
        self._wake.set()
        return True

    def status(self) -> dict[str, Any]:
        """For `/status`."""
        age_s = None if self._good_at is None else self._clock() - self._good_at
        return {"loaded": self.is_loaded, "age_s": age_s}

    def _failed(self, problem: str) -> None:
        self.failed += 1
        if problem != self.problem:
            _log.error("the JWKS is not fetched, the last good keys stay for a day: %s", problem)
        self.problem = problem
        if self._good_at is not None and self._clock() - self._good_at > GOOD_FOR_S:
            self._good_at, self._keys = None, ()
            self._on_keys(())

    async def _wait(self, wait_s: float) -> None:
        """Wait for the next turn, or less where a key is wanted; never two fetches close by."""
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
                gap_s = self._asked_at + UNKNOWN_KEY_EVERY_S - self._clock()
                await asyncio.sleep(max(0.0, gap_s))
        except TimeoutError:
            pass


def read_jwks(text: bytes) -> tuple[VerifyingKey, ...]:
    """The keys of a JWK Set that verify signatures; others in it are passed over.

    An issuer may publish keys for encryption, or of kinds that are not known here. Secrets are
    never taken from a network. Raises `KeyProblem` where no key is left.
    """
    try:
        listed = read_object(text).get("keys")
    except CallerError:
        raise KeyProblem("the answer is not a JSON object with each member once") from None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise KeyProblem(f"keys: must be a list of at most {MAX_KEYS}")
    found: list[VerifyingKey] = []
    for members in listed:
        try:
            if isinstance(members, dict):
                found.append(read_jwk(members))
        except KeyProblem:
            continue
    usable = public_only(found)
    if not usable:
        raise KeyProblem("keys: none of them verifies signatures")
    return usable
