"""Keys and tokens for tests: an issuer with one key of each kind, and its directory of public keys.

Tokens are put together by hand, so that every part of one can be wrong.
"""

from __future__ import annotations

import base64
import json
import time
import warnings
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "feed"
ISSUER = "https://id.example"

SETTINGS = {"TIDEGATE_AUTH": "jwt", "TIDEGATE_AUTH_AUDIENCE": AUDIENCE}


def encoded(text: bytes | str) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """Signs tokens for `sub` 42, `aud` feed, ten minutes, unless told otherwise."""

    def __init__(self, rsa_bits: int = 2048) -> None:
        self.keys: dict[str, Any] = {
            "HS256": OctKey.generate_key(256, {"kid": "h"}),
            "RS256": RSAKey.generate_key(rsa_bits),
            "ES256": ECKey.generate_key("P-256", {"kid": "e"}),
            "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "d"}),
        }

    @staticmethod
    def secret() -> Any:
        """A secret that no verifier has."""
        return OctKey.generate_key(256)

    def write(self, directory: Path) -> str:
        """Write the public keys as files, the RSA key as PEM; returns the directory."""
        directory.mkdir(exist_ok=True)
        for alg, key in self.keys.items():
            if alg == "RS256":
                (directory / "rsa.pem").write_bytes(key.as_pem(private=False))
            else:
                shown = key.as_dict(private=alg == "HS256")
                (directory / f"{alg}.json").write_text(json.dumps(shown))
        return str(directory)

    def token(
        self,
        claims: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        *,
        alg: str = "HS256",
        sign_with: Any = None,
    ) -> str:
        """A token; a claim or header field of ``None`` is left out."""
        now = int(time.time())
        said = {"sub": "42", "aud": AUDIENCE, "iss": ISSUER, "iat": now, "exp": now + 600}
        kid = self.keys[alg].kid if alg in self.keys else None
        head = {"alg": alg, "typ": "JWT", "kid": kid, **(header or {})}
        return self.signed(
            json.dumps(_present(head)),
            json.dumps(_present({**said, **(claims or {})})),
            alg=alg,
            sign_with=sign_with,
        )

    def signed(self, header: str, payload: str, *, alg: str, sign_with: Any = None) -> str:
        """A token of these two texts, signed by `alg` with its key, or with `sign_with`."""
        body = f"{encoded(header)}.{encoded(payload)}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            key = sign_with or self.keys[alg]
            signature = JWSRegistry.algorithms[alg].sign(body.encode(), key)
        return f"{body}.{encoded(signature)}"


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
