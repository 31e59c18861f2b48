"""`tidegate token`: a token for trying out, signed by a key in a file, which is made if need be.

In production the application, or an identity provider, issues tokens: docs/authentication.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.auth.claims import MAX_LIFETIME_S
from tidegate.auth.topics import TopicPatterns
from tidegate.contract.auth_settings import DEFAULT_CLAIM
from tidegate.contract.command import Command
from tidegate.contract.errors import SettingsError
from tidegate.contract.names import is_client_id

if TYPE_CHECKING:
    from joserfc.jwk import Key

_USUAL_LIFETIME_S: Final = 600
_ALGORITHMS: Final = {
    ("oct", None): "HS256",
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("OKP", "Ed25519"): "EdDSA",
}
"""By the key's type and curve, where the key names none itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options on `parser`."""
    parser.add_argument("client", help="the token's subject: the client id in /sse/subscribe/ID")
    parser.add_argument(
        "--audience", required=True, help="as in TIDEGATE_AUTH_AUDIENCE", metavar="AUD"
    )
    parser.add_argument(
        "--key",
        required=True,
        type=Path,
        metavar="FILE",
        help="JWK that signs; where there is none, a new secret is written there",
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="PATTERN",
        help="a topic that the token allows: a, a/*, a/**; may be repeated",
    )
    parser.add_argument("--issuer", metavar="ISS", help="as in TIDEGATE_AUTH_ISSUER")
    parser.add_argument(
        "--claim", default=DEFAULT_CLAIM, help=f"the claim of the topics ({DEFAULT_CLAIM})"
    )
    parser.add_argument(
        "--lifetime",
        type=float,
        default=_USUAL_LIFETIME_S,
        metavar="S",
        help=f"seconds until it expires ({_USUAL_LIFETIME_S}; at most {MAX_LIFETIME_S:.0f})",
    )


def run(options: argparse.Namespace) -> int:
    """Print a token; raises `SettingsError` for what no sidecar would take."""
    from joserfc.jws import JWSRegistry

    claims = _claims(options, time.time())
    key = _key(options.key)
    curve = key.dict_value.get("crv")
    alg = key.alg or _ALGORITHMS.get((key.key_type, curve if isinstance(curve, str) else None))
    if alg is None:
        raise SettingsError("--key", "must be a secret, RSA, P-256, P-384 or Ed25519 key")
    header = {"alg": alg, "typ": "JWT", **({"kid": key.kid} if key.kid else {})}
    signing_input = b".".join(map(_encoded, (header, claims)))
    signature = JWSRegistry.algorithms[alg].sign(signing_input, key)
    sys.stdout.write(f"{signing_input.decode()}.{_base64url(signature).decode()}\n")
    return 0


def _encoded(members: object) -> bytes:
    return _base64url(json.dumps(members, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _claims(options: argparse.Namespace, now: float) -> dict[str, Any]:
    if not is_client_id(options.client):
        raise SettingsError("client", "must be 1 to 128 of 0-9 A-Z a-z . _ : @ ~ -")
    if not 0 < options.lifetime <= MAX_LIFETIME_S:
        raise SettingsError("--lifetime", f"must be above 0 and at most {MAX_LIFETIME_S:.0f}")
    try:
        TopicPatterns(options.topic, options.client)
    except ValueError as error:
        raise SettingsError("--topic", str(error)) from None
    claims: dict[str, Any] = {
        "sub": options.client,
        "aud": options.audience,
        "iat": int(now),
        "exp": round(now + options.lifetime, 3),
        options.claim: {"subscribe": options.topic},
    }
    return claims if options.issuer is None else {**claims, "iss": options.issuer}


def _key(path: Path) -> Key:
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, OctKey

    try:
        if path.exists():
            return JWKRegistry.import_key(json.loads(path.read_text()))
        made = OctKey.generate_key(256, auto_kid=True)
        # Readable by its owner only, from the beginning on.
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made.as_dict(private=True), file)
    except (OSError, ValueError, TypeError, JoseError) as error:
        raise SettingsError("--key", f"{path}: {error}") from None
    sys.stderr.write(f"tidegate token: wrote a new secret to {path}\n")
    return made


COMMAND = Command(
    summary="make a token for trying out authentication",
    add_arguments=add_arguments,
    run=run,
    description="Prints a token that a sidecar with TIDEGATE_AUTH=jwt takes. The key may be a "
    "secret (the same file is then the sidecar's) or a private key.",
    epilog="example: tidegate token 42 --audience feed --key keys/try.json --topic 'news/**'",
)
