"""Keys that verify tokens, each bound to its algorithms when it is read.

A token's header never chooses how a key is used: RSA keys verify RSA signatures of 2,048 to 8,192
bits, a curve has one algorithm, a secret must be as long as its hash and not look like a public
key. Otherwise a public key, which anybody may have, could be taken for a secret (CVE-2015-9235).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tidegate.auth.tokens import ALGORITHMS, MAX_KID_LENGTH, TokenHeader, read_object
from tidegate.contract.errors import CallerError

MAX_CANDIDATES: Final = 4
"""Keys tried for one token."""

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256"})
_CURVES: Final[Mapping[str, str]] = {"P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA"}
_SECRET_BYTES: Final[Mapping[str, int]] = {"HS256": 32, "HS384": 48, "HS512": 64}
"""RFC 7518, 3.2: a key of the hash's size or larger."""

_KINDS: Final = ("oct", "RSA", "EC", "OKP")

_Key = OctKey | RSAKey | ECKey | OKPKey


class KeyProblem(ValueError):  # noqa: N818 - a sentence for a log, not an error of ours
    """Raised for a key that cannot be used; the message holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """One key; `algorithms` are those it verifies, `kid` its name where it has one."""

    kid: str | None
    algorithms: frozenset[str]
    key: _Key

    def verifies(self, alg: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's; `alg` must be one of `algorithms`."""
        try:
            return JWSRegistry.algorithms[alg].verify(signing_input, signature, self.key)
        except (ValueError, JoseError):
            return False


@dataclass(frozen=True, slots=True)
class Keys:
    """A set of keys."""

    keys: tuple[VerifyingKey, ...] = ()

    def has(self, kid: str | None) -> bool:
        """Whether there is a key of this name; none is named ``None``."""
        return kid is not None and any(key.kid == kid for key in self.keys)

    def candidates(self, header: TokenHeader) -> list[VerifyingKey]:
        """The keys that may have signed a token with this header, a few at most.

        A token that names a key is tried with keys of that name and with those that have none (a
        PEM file has no name); one that names none with all of its algorithm.
        """
        fitting = (key for key in self.keys if header.alg in key.algorithms)
        named = [k for k in fitting if header.kid is None or k.kid in (None, header.kid)]
        named.sort(key=lambda key: key.kid is None)
        return named[:MAX_CANDIDATES]


def read_keys(text: bytes) -> list[VerifyingKey]:
    """The keys in a file: one public key as PEM, a JWK, or a JWK Set. Raises `KeyProblem`."""
    start = text.lstrip()
    if start.startswith(b"-----BEGIN"):
        return [_read_pem(start)]
    if not start.startswith(b"{"):
        raise KeyProblem("is neither PEM nor a JWK")
    try:
        members = read_object(text)
    except CallerError:
        raise KeyProblem("is not JSON with each member once") from None
    listed = members.get("keys", [members])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise KeyProblem("keys: must be a list of JWKs")
    return [read_jwk(one) for one in listed]


def read_jwk(members: Mapping[str, Any]) -> VerifyingKey:
    """One key of RFC 7517; raises `KeyProblem`."""
    kind, use, kid = members.get("kty"), members.get("use", "sig"), members.get("kid")
    if kind not in _KINDS:
        raise KeyProblem("kty: must be oct, RSA, EC or OKP")
    if use != "sig":
        raise KeyProblem("use: must be sig")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH):
        raise KeyProblem(f"kid: must be a text of 1 to {MAX_KID_LENGTH} characters")
    if "d" in members:
        raise KeyProblem("holds a private key: pods need the public one only")
    with warnings.catch_warnings():
        # The library warns of keys that are too short, or of a public key used as a secret.
        warnings.simplefilter("error", SecurityWarning)
        try:
            key = JWKRegistry.import_key(dict(members), kind)
            algorithms = _algorithms(key)
        except KeyProblem:
            raise
        except (ValueError, TypeError, KeyError, JoseError, SecurityWarning, UnsupportedAlgorithm):
            raise KeyProblem(f"is not a usable {kind} key") from None
    return _bound(kid, algorithms, members.get("alg"), key)


def decoy(keys: Keys) -> VerifyingKey | None:
    """A key to spend the usual time with where a token's key is unknown."""
    return keys.keys[0] if keys.keys else None


def public_only(keys: Iterable[VerifyingKey]) -> tuple[VerifyingKey, ...]:
    """Those that are no secrets: what comes over the network is not one."""
    return tuple(key for key in keys if not isinstance(key.key, OctKey))


def _read_pem(text: bytes) -> VerifyingKey:
    if b"PRIVATE KEY" in text:
        raise KeyProblem("holds a private key: pods need the public one only")
    try:
        loaded = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyProblem("is not a public key in PEM") from None
    if isinstance(loaded, RSAPublicKey):
        _check_rsa(loaded.key_size)
    pem = loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key: _Key
    if isinstance(loaded, RSAPublicKey):
        key = RSAKey.import_key(pem)
    elif isinstance(loaded, EllipticCurvePublicKey):
        key = ECKey.import_key(pem)
    elif isinstance(loaded, Ed25519PublicKey):
        key = OKPKey.import_key(pem)
    else:
        raise KeyProblem("must be an RSA, P-256, P-384 or Ed25519 key")
    return _bound(None, _algorithms(key), None, key)


def _algorithms(key: _Key) -> frozenset[str]:
    if isinstance(key, OctKey):
        size = len(key.raw_value)
        fitting = frozenset(alg for alg, least in _SECRET_BYTES.items() if size >= least)
        if not fitting:
            raise KeyProblem(f"k: a secret has at least {_SECRET_BYTES['HS256']} bytes")
        return fitting
    if isinstance(key, RSAKey):
        _check_rsa(key.public_key.key_size)
        return _RSA
    if key.curve_name not in _CURVES:
        raise KeyProblem(f"crv: must be {', '.join(_CURVES)}")
    return frozenset({_CURVES[key.curve_name]})


def _check_rsa(bits: int) -> None:
    if not 2048 <= bits <= 8192:
        raise KeyProblem("an RSA key has 2048 to 8192 bits")


def _bound(kid: str | None, algorithms: frozenset[str], alg: object, key: _Key) -> VerifyingKey:
    if alg is not None:
        algorithms &= {alg} if isinstance(alg, str) and alg in ALGORITHMS else frozenset()
        if not algorithms:
            raise KeyProblem("alg: does not fit this key")
    return VerifyingKey(kid, algorithms, key)
