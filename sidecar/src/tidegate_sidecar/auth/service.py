"""Authentication of one pod: the guard that is asked, and the keys that are kept fresh for it."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate.auth.claims import ClaimRules
from tidegate.auth.guard import Guard
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.errors import SettingsError
from tidegate.contract.sidecar import env
from tidegate_sidecar.auth.jwks import RemoteKeys
from tidegate_sidecar.auth.key_files import KeyFiles
from tidegate_sidecar.auth.keys import KeyProblem, Keys, VerifyingKey
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
        rules = ClaimRules(settings.audience, settings.issuer, settings.claim)
        self._settings = settings
        self._files = None if settings.keys is None else KeyFiles(settings.keys)
        self._remote = _remote_keys(settings, self._use_remote, clock)
        may_come = _no_key_comes if self._remote is None else self._remote.may_come
        self._verifier = Verifier(rules, most_kept, clock, may_come)
        self._of_files: tuple[VerifyingKey, ...] = ()
        self._of_issuer: tuple[VerifyingKey, ...] = ()
        self._problem: str | None = None
        self.guard = Guard(settings, origins, self._verifier, wall_clock)
        try:
            keys = None if self._files is None else self._files.read_if_changed()
        except KeyProblem as problem:
            raise SettingsError(env("auth_keys"), str(problem)) from None
        if keys is not None:
            self._use_files(keys.keys)

    async def run(self) -> None:
        """Keep the keys fresh until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            if self._files is not None:
                tasks.create_task(self._reread(self._files), name="key files")
            if self._remote is not None:
                tasks.create_task(self._remote.run(), name="jwks")

    def not_ready(self) -> str | None:
        """Why no token could be verified since the start; ``None`` once that is possible."""
        if self._remote is None or self._remote.is_loaded or self._verifier.keys.keys:
            return None
        return f"the issuer's keys are not loaded yet: {self._remote.problem or 'no answer yet'}"

    def status(self) -> dict[str, Any]:
        """For `/status`: settings, keys by name, counters; nothing of a token or a secret."""
        keys = self._verifier.keys.keys
        return {
            "mode": self._settings.mode,
            "audience": self._settings.audience,
            "issuer": self._settings.issuer,
            "query": self._settings.query,
            "keys": [{"kid": key.kid, "algorithms": sorted(key.algorithms)} for key in keys],
            "problem": self.problem,
            "jwks": None if self._remote is None else self._remote.status(),
            **self.counters,
        }

    @property
    def problem(self) -> str | None:
        """Why the keys are not refreshed; ``None`` while they are."""
        return self._problem or (None if self._remote is None else self._remote.problem)

    @property
    def counters(self) -> Mapping[str, int]:
        """For `/metrics`."""
        tokens = {f"tokens_{name}": n for name, n in self._verifier.counters.items()}
        if self._remote is None:
            return tokens
        fetches = {"jwks_fetched": self._remote.fetched, "jwks_failed": self._remote.failed}
        return {**tokens, **fetches}

    async def _reread(self, files: KeyFiles) -> None:
        while True:
            await asyncio.sleep(READ_AGAIN_S)
            await self.refresh(files)

    async def refresh(self, files: KeyFiles) -> None:
        """Read the keys again where a file has changed; what cannot be read changes nothing."""
        try:
            # A mounted directory may be slow, and the loop writes every stream.
            keys = await asyncio.to_thread(files.read_if_changed)
        except KeyProblem as problem:
            if str(problem) != self._problem:
                _log.error("the keys are not read again, the last ones stay: %s", problem)
            self._problem = str(problem)
            return
        if keys is not None:
            self._problem = None
            self._use_files(keys.keys)
            _log.info("keys read again", extra={"keys": len(keys.keys)})

    def _use_files(self, keys: tuple[VerifyingKey, ...]) -> None:
        self._of_files = keys
        self._verifier.use(Keys(self._of_files + self._of_issuer))

    def _use_remote(self, keys: tuple[VerifyingKey, ...]) -> None:
        self._of_issuer = keys
        self._verifier.use(Keys(self._of_files + self._of_issuer))
        _log.info("keys of the issuer fetched", extra={"keys": len(keys)})


def _remote_keys(
    settings: AuthSettings,
    on_keys: Callable[[tuple[VerifyingKey, ...]], None],
    clock: Callable[[], float],
) -> RemoteKeys | None:
    if settings.jwks_url is None:
        return None
    tls: ssl.SSLContext | None = None
    if settings.jwks_ca_file is not None:
        try:
            tls = ssl.create_default_context(cafile=settings.jwks_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(env("auth_jwks_ca_file"), f"cannot be used: {error}") from None
    return RemoteKeys(settings.jwks_url, tls, on_keys, clock)


def _no_key_comes(_: str | None) -> bool:
    return False
