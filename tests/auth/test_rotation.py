"""Keys change under the clients: as long as the documented order is kept, none is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from kit.issuer import Issuer

from tidegate.auth.rights import Asked, Rights
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.errors import CallerError, SettingsError
from tidegate_sidecar.auth.key_files import KeyFiles
from tidegate_sidecar.auth.service import Authentication


def settings(directory: Path) -> AuthSettings:
    return AuthSettings(mode="jwt", keys=str(directory), audience="feed")


def opens(auth: Authentication, token: str) -> bool:
    headers = [(b"authorization", f"Bearer {token}".encode())]
    found = auth.guard.screen(headers, b"")
    try:
        return isinstance(auth.guard.rights(found.credential, "GET", headers, Asked("42")), Rights)
    except CallerError:
        return False


async def test_a_rotation_in_the_documented_order_refuses_nobody(tmp_path: Path) -> None:
    old, new = Issuer(), Issuer()
    for name, issuer in (("old", old), ("new", new)):
        key = issuer.keys["ES256"].as_dict(private=False) | {"kid": name}
        (tmp_path / f".{name}").write_text(json.dumps(key))
    (tmp_path / ".old").rename(tmp_path / "old.json")
    auth, files = Authentication(settings(tmp_path), (), 100), KeyFiles(str(tmp_path))
    refused: list[str] = []
    issued = "old"
    done = asyncio.Event()

    async def load() -> None:
        number = 0
        while not done.is_set():
            number += 1
            issuer = old if issued == "old" else new
            token = issuer.token({"n": number}, {"kid": issued}, alg="ES256")
            if not opens(auth, token):
                refused.append(issued)
            await asyncio.sleep(0)

    loading = asyncio.create_task(load())
    for step in ("add", "issue", "remove"):
        if step == "add":
            (tmp_path / ".new").rename(tmp_path / "new.json")
            await auth.refresh(files)
        elif step == "issue":
            issued = "new"
        else:
            (tmp_path / "old.json").unlink()
            await auth.refresh(files)
        await asyncio.sleep(0.02)
    done.set()
    await loading
    assert refused == []
    assert [key["kid"] for key in auth.status()["keys"]] == ["new"]
    assert not opens(auth, old.token(header={"kid": "old"}, alg="ES256"))


async def test_files_that_cannot_be_read_leave_the_last_keys(tmp_path: Path) -> None:
    issuer = Issuer()
    with pytest.raises(SettingsError, match="holds no key"):
        Authentication(settings(tmp_path), (), 100)
    issuer.write(tmp_path)
    auth, files = Authentication(settings(tmp_path), (), 100), KeyFiles(str(tmp_path))
    await auth.refresh(files)
    (tmp_path / "broken.json").write_text("{")
    await auth.refresh(files)
    assert auth.problem is not None
    assert "broken.json" in auth.problem
    assert opens(auth, issuer.token({"n": 1}))
    (tmp_path / "broken.json").unlink()
    await auth.refresh(files)
    assert auth.problem is None
