from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OKPKey
from kit.issuer import Issuer, encoded

from tidegate.auth.tokens import TokenHeader
from tidegate_sidecar.auth.key_files import MAX_KEYS, KeyFiles
from tidegate_sidecar.auth.keys import KeyProblem, Keys, public_only, read_keys


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def secret(size: int, **members: Any) -> bytes:
    return json.dumps({"kty": "oct", "k": encoded(b"k" * size), **members}).encode()


def public_pem(bits: int) -> bytes:
    key = rsa.generate_private_key(65537, bits).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_each_key_is_bound_to_its_algorithms(issuer: Issuer) -> None:
    def algorithms(text: bytes) -> set[str]:
        (key,) = read_keys(text)
        return set(key.algorithms)

    assert algorithms(secret(32)) == {"HS256"}
    assert algorithms(secret(48)) == {"HS256", "HS384"}
    assert algorithms(secret(64)) == {"HS256", "HS384", "HS512"}
    assert algorithms(secret(64, alg="HS512")) == {"HS512"}
    rsa_pem = issuer.keys["RS256"].as_pem(private=False)
    assert algorithms(rsa_pem) == {"RS256", "RS384", "RS512", "PS256"}
    for curve, alg in (("P-256", "ES256"), ("P-384", "ES384")):
        assert algorithms(ECKey.generate_key(curve).as_pem(private=False)) == {alg}
    assert algorithms(OKPKey.generate_key("Ed25519").as_pem(private=False)) == {"EdDSA"}


def test_a_set_holds_several() -> None:
    text = json.dumps({"keys": [json.loads(secret(32, kid=kid)) for kid in "ab"]}).encode()
    assert [key.kid for key in read_keys(text)] == ["a", "b"]
    assert public_only(read_keys(text)) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "neither PEM nor a JWK"),
        (b"a secret that stands in a file as it is", "neither PEM nor a JWK"),
        (b"{", "JSON"),
        (b'{"kty":"oct","kty":"oct"}', "JSON"),
        (b'{"keys":[1]}', "list of JWKs"),
        (b"{}", "kty"),
        (b'{"kty":"oct"}', "not a usable oct"),
        (secret(31), "at least 32 bytes"),
        (secret(32, alg="HS512"), "alg"),
        (secret(32, alg="RS256"), "alg"),
        (secret(32, alg="none"), "alg"),
        (secret(32, use="enc"), "use"),
        (secret(32, kid=7), "kid"),
        (b'{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}', "EC"),
        (b'{"kty":"RSA","n":"AQAB","e":"AQAB"}', "RSA"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a public key"),
        (ECKey.generate_key("secp256k1").as_pem(private=False), "crv"),
        (ECKey.generate_key("P-256").as_pem(private=True), "private"),
        (json.dumps(ECKey.generate_key("P-256").as_dict(private=True)).encode(), "private"),
        (OKPKey.generate_key("X25519").as_pem(private=False), "must be"),
        (public_pem(1024), "2048"),
    ],
)
def test_a_key_that_cannot_be_used_is_named(text: bytes, problem: str) -> None:
    with pytest.raises(KeyProblem, match=problem) as caught:
        read_keys(text)
    assert encoded(b"k" * 31) not in str(caught.value)


def test_a_public_key_is_no_secret(issuer: Issuer) -> None:
    pem = issuer.keys["RS256"].as_pem(private=False)
    for looks_like in (pem, pem.rstrip(), issuer.keys["RS256"].as_der(private=False)):
        members = {"kty": "oct", "k": encoded(looks_like)}
        with pytest.raises(KeyProblem):
            read_keys(json.dumps(members).encode())


def test_a_token_is_tried_with_keys_of_its_name_and_nameless_ones(issuer: Issuer) -> None:
    named = [read_keys(secret(32, kid=kid))[0] for kid in "abcdef"]
    nameless = read_keys(secret(40))[0]
    keys = Keys((*named, nameless))
    assert keys.candidates(TokenHeader("HS256", "b")) == [named[1], nameless]
    assert keys.candidates(TokenHeader("HS256", "z")) == [nameless]
    assert keys.candidates(TokenHeader("HS256", None)) == named[:4]
    assert keys.candidates(TokenHeader("RS256", "b")) == []


def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(secret(32, kid="a"))
    (tmp_path / "..data").mkdir()
    (tmp_path / ".hidden").write_bytes(b"junk")
    files = KeyFiles(str(tmp_path))

    def kids() -> list[str | None] | None:
        keys = files.read_if_changed()
        return None if keys is None else [key.kid for key in keys.keys]

    assert kids() == ["a"]
    assert kids() is None
    (tmp_path / "b.json").write_bytes(secret(32, kid="b"))
    assert kids() == ["a", "b"]
    (tmp_path / "a.json").unlink()
    assert kids() == ["b"]
    # As the kubelet does it: another file in its place, of the same size.
    (tmp_path / "new").write_bytes(secret(32, kid="c"))
    os.replace(tmp_path / "new", tmp_path / "b.json")
    assert kids() == ["c"]


def test_a_directory_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    for make, problem in (
        (lambda: None, "holds no key"),
        (lambda: (tmp_path / "x").write_bytes(b"x" * 70_000), "x: has more than"),
        (lambda: (tmp_path / "x").write_bytes(b"junk"), "x: is neither"),
        (
            lambda: (tmp_path / "x").write_bytes(
                json.dumps({"keys": [json.loads(secret(32))] * (MAX_KEYS + 1)}).encode()
            ),
            "more than 16 keys",
        ),
    ):
        make()
        with pytest.raises(KeyProblem, match=problem):
            KeyFiles(str(tmp_path)).read_if_changed()
    with pytest.raises(KeyProblem, match="No such file"):
        KeyFiles(str(tmp_path / "none")).read_if_changed()
