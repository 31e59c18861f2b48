"""What the sidecar shows the operator and what it believes of it: a token and a CA.

In a cluster the token is a projected one that the kubelet renews (at 80 % of its life, an hour by
default), so the file is read again and again; the CA identifies our operator.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tidegate.contract.errors import SettingsError
from tidegate.contract.sidecar import env

READ_AGAIN_S: Final = 60.0
"""How old a token may get here; far less than what is left of it when it is renewed."""


class TokenFile:
    """Gives the token in a file, as it is now or was a minute ago. `clock` in seconds.

    Raises `SettingsError` when the file cannot be read at first; later the last token is kept.
    """

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._path = Path(path)
        self._clock = clock
        self._read_at = clock()
        try:
            self._token = self._read()
        except (OSError, ValueError) as error:
            detail = f"cannot be read: {error}"
            raise SettingsError(env("operator_token_file"), detail) from None

    def __call__(self) -> str:
        """The token."""
        now = self._clock()
        if now - self._read_at >= READ_AGAIN_S:
            self._read_at = now
            try:
                self._token = self._read()
            except (OSError, ValueError):
                return self._token
        return self._token

    def _read(self) -> str:
        token = self._path.read_text(encoding="ascii").strip()
        if not token or any(ord(c) <= 32 for c in token):
            raise ValueError("it does not hold one token")
        return token


def trust(ca_file: str | None) -> ssl.SSLContext | None:
    """TLS that believes the CA in `ca_file` alone; ``None``: what the system believes.

    Raises `SettingsError`.
    """
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(env("operator_ca_file"), f"cannot be used: {error}") from None
