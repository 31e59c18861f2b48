"""The token that is renewed on disk, and the CA that must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.contract.errors import SettingsError
from tidegate_sidecar.reporting.credentials import READ_AGAIN_S, TokenFile, trust


def test_a_renewed_token_is_shown_within_a_minute_and_the_last_one_kept(tmp_path: Path) -> None:
    file, now = tmp_path / "token", 0.0
    file.write_text("one\n")
    token = TokenFile(str(file), lambda: now)
    file.write_text("two\n")
    assert token() == "one"
    now = READ_AGAIN_S
    assert token() == "two"
    file.unlink()
    now = 2 * READ_AGAIN_S
    assert token() == "two"


@pytest.mark.parametrize("content", [None, "", "two words", "naïve"])
def test_a_file_without_one_token_is_a_bad_setting(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match="TIDEGATE_OPERATOR_TOKEN_FILE: cannot be read"):
        TokenFile(str(file), lambda: 0.0)


def test_a_ca_that_cannot_be_used_is_a_bad_setting(tmp_path: Path) -> None:
    assert trust(None) is None
    (tmp_path / "ca").write_text("no certificate")
    for path in ("ca", "missing"):
        with pytest.raises(SettingsError, match="TIDEGATE_OPERATOR_CA_FILE: cannot be used"):
            trust(str(tmp_path / path))
