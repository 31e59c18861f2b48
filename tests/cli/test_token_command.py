"""`tidegate token` makes what a sidecar takes, with the same file as key."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tidegate.auth.claims import ClaimRules, TokenFacts
from tidegate.auth.topics import TopicPatterns
from tidegate_cli.main import main
from tidegate_sidecar.auth.keys import Keys, read_jwk
from tidegate_sidecar.auth.verifier import Verifier

Capture = pytest.CaptureFixture[str]


def verify(token: str, key: Mapping[str, object]) -> TokenFacts:
    verifier = Verifier(ClaimRules("feed"), 10, lambda: 0.0)
    verifier.use(Keys((read_jwk(key),)))
    facts = verifier(token.strip().encode())
    assert isinstance(facts, TokenFacts)
    return facts


def test_a_new_secret_is_made_once(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "try.json"
    made = []
    for _ in range(2):
        command = ["token", "42", "--audience", "feed", "--key", str(file), "--topic", "u/{sub}/*"]
        assert main(command) == 0
        made.append(capsys.readouterr().out)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for token in made:
        facts = verify(token, json.loads(file.read_text()))
        assert (facts.subject, facts.topics) == ("42", TopicPatterns(["u/42/*"]))


@pytest.mark.parametrize(
    "key",
    [
        RSAKey.generate_key(2048, {"kid": "r"}),
        ECKey.generate_key("P-256"),
        ECKey.generate_key("P-384"),
        OKPKey.generate_key("Ed25519"),
    ],
    ids=["RSA", "P-256", "P-384", "Ed25519"],
)
def test_a_private_key_signs_too(
    tmp_path: Path, capsys: Capture, key: RSAKey | ECKey | OKPKey
) -> None:
    file = tmp_path / "private.json"
    file.write_text(json.dumps(key.as_dict(private=True)))
    assert main(["token", "42", "--audience", "feed", "--key", str(file)]) == 0
    assert verify(capsys.readouterr().out, key.as_dict(private=False)).subject == "42"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["a/b"], "client"),
        (["42", "--lifetime", "1e6"], "--lifetime"),
        (["42", "--topic", "a*"], "--topic"),
        (["42", "--key", "/no/such/folder/key.json"], "--key"),
    ],
)
def test_what_no_sidecar_would_take_is_named(
    tmp_path: Path, capsys: Capture, arguments: list[str], named: str
) -> None:
    file = str(tmp_path / "k.json")
    assert main(["token", "--audience", "feed", "--key", file, *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"tidegate: {named}: ")
