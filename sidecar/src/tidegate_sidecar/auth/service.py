"""Authentication of one pod: the guard that is asked, and the keys that are kept fresh for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from tidegate.auth.claims import ClaimRules
from tidegate.auth.guard import Guard
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.errors import SettingsError
from tidegate.contract.sidecar import env
from tidegate_sidecar.auth.key_files import KeyFiles
from tidegate_sidecar.auth.keys import KeyProblem
from tidegate_sidecar.auth.verifier import Verifier

READ_AGAIN_S: Final = 10.0
"""A kubelet takes up to a minute to bring a changed Secret into a pod; this adds little to it."""

_log = logging.getLogger("tidegate.auth")


class Authentication:
    """The parts, put together.

    `origins` are those whose pages may send credentials, `most_kept` bounds the verified tokens
    that are kept. `clock` only grows, `wall_clock` is in seconds since 1970. Raises `SettingsError`
    where the keys cannot be read: a pod that refuses everything is worse than one that does not
    start.
    """

    def __init__(
        self,
        settings: AuthSettings,
        origins: tuple[str, ...],
        most_kept: int,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        assert settings.keys is not None
        rules = ClaimRules(settings.audience, settings.issuer, settings.claim)
        self._settings = settings
        self._files = KeyFiles(settings.keys)
        self._verifier = Verifier(rules, most_kept, clock)
        self._problem: str | None = None
        self.guard = Guard(settings, origins, self._verifier, wall_clock)
        try:
            self._read()
        except KeyProblem as problem:
            raise SettingsError(env("auth_keys"), str(problem)) from None

    async def run(self) -> None:
        """Keep the keys fresh until cancelled."""
        while True:
            await asyncio.sleep(READ_AGAIN_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Read the keys again where a file has changed; what cannot be read changes nothing."""
        try:
            # A mounted directory may be slow, and the loop writes every stream.
            keys = await asyncio.to_thread(self._files.read_if_changed)
        except KeyProblem as problem:
            if str(problem) != self._problem:
                _log.error("the keys are not read again, the last ones stay: %s", problem)
            self._problem = str(problem)
            return
        if keys is not None:
            self._problem = None
            self._verifier.use(keys)
            _log.info("keys read again", extra={"keys": len(keys.keys)})

    def status(self) -> dict[str, Any]:
        """For `/status`: settings, keys by name, counters; nothing of a token or a secret."""
        keys = self._verifier.keys.keys
        return {
            "mode": self._settings.mode,
            "audience": self._settings.audience,
            "issuer": self._settings.issuer,
            "query": self._settings.query,
            "keys": [{"kid": key.kid, "algorithms": sorted(key.algorithms)} for key in keys],
            "problem": self._problem,
            **self._verifier.counters,
        }

    @property
    def counters(self) -> dict[str, int]:
        """For `/metrics`."""
        return self._verifier.counters

    def _read(self) -> None:
        keys = self._files.read_if_changed()
        if keys is not None:
            self._verifier.use(keys)
