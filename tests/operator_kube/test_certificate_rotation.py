"""Certificates that a strict client accepts, kept in Secrets, rotated without a restart."""

from __future__ import annotations

import asyncio
import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from operator_kube.fake_api import FakeApi
from operator_kube.kube_world import World

from tidegate.contract.errors import SettingsError
from tidegate_kubernetes.api import ApiError
from tidegate_kubernetes.kinds import PODS
from tidegate_operator.kube.settings import CertificateSettings
from tidegate_operator.kube.tls.ca_rollout import spread
from tidegate_operator.kube.tls.certificate_keeper import WEBHOOKS, CertificateKeeper, bundle_patch
from tidegate_operator.kube.tls.certificates import (
    KeyPair,
    authority_flaw,
    flaw,
    issue,
    make_authority,
)

NAMES = ("tidegate-operator.tidegate.svc", "localhost")
NOW = datetime.now(UTC)
SECRETS = "/api/v1/namespaces/tidegate/secrets"


class Keeping:
    def __init__(self, mode: str = "auto", directory: str = "/none") -> None:
        self.api = FakeApi()
        self.now = NOW
        self.settings = CertificateSettings(
            mode, directory, "tidegate-tls", "tidegate-ca", NAMES, "tidegate-injector"
        )
        self.keeper = self.another()

    def another(self) -> CertificateKeeper:
        return CertificateKeeper(self.api, self.api, self.settings, "tidegate", lambda: self.now)

    def secret(self, name: str) -> dict[str, bytes]:
        data = self.api.objects[f"{SECRETS}/{name}"]["data"]
        return {key: base64.b64decode(value) for key, value in data.items()}


async def served_serial(keeper: CertificateKeeper, ca_pem: bytes) -> int:
    """Connect as a strict client that trusts only the CA; the serial of what it is shown."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=keeper.context)
    async with server:
        client = ssl.create_default_context(cadata=ca_pem.decode())
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost"
        )
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
    return x509.load_der_x509_certificate(der).serial_number


async def test_made_kept_and_accepted_by_a_strict_client() -> None:
    keeping = Keeping()
    await keeping.keeper.load()
    kept = keeping.secret("tidegate-tls")
    assert sorted(kept) == ["ca.crt", "tls.crt", "tls.key"]
    assert "ca.key" in keeping.secret("tidegate-ca")
    serial = x509.load_pem_x509_certificate(kept["tls.crt"]).serial_number
    assert await served_serial(keeping.keeper, kept["ca.crt"]) == serial


async def test_a_second_replica_takes_what_the_first_made() -> None:
    keeping = Keeping()
    await keeping.keeper.load()
    kept = keeping.secret("tidegate-tls")
    other = keeping.another()
    await other.load()
    assert keeping.secret("tidegate-tls") == kept
    serial = x509.load_pem_x509_certificate(kept["tls.crt"]).serial_number
    assert await served_serial(other, kept["ca.crt"]) == serial


async def test_two_replicas_that_start_together_end_with_one_certificate() -> None:
    keeping = Keeping()
    other = keeping.another()
    await asyncio.gather(keeping.keeper.load(), other.load())
    ca = keeping.secret("tidegate-tls")["ca.crt"]
    assert await served_serial(other, ca) == await served_serial(keeping.keeper, ca)


async def test_replaced_before_it_expires_while_the_old_ca_is_still_trusted() -> None:
    keeping = Keeping()
    await keeping.keeper.load()
    before = keeping.secret("tidegate-tls")
    keeping.now = NOW + timedelta(days=61)
    await keeping.keeper.load()
    after = keeping.secret("tidegate-tls")
    assert after["tls.crt"] != before["tls.crt"]
    assert after["ca.crt"] == before["ca.crt"]


def test_a_renewed_authority_keeps_its_key_so_old_trust_still_verifies() -> None:
    old = make_authority(NOW - timedelta(days=3400))
    assert authority_flaw(old, NOW) == "it expires soon"
    new = make_authority(NOW, renewed=old)
    assert authority_flaw(new, NOW) is None
    leaf = issue(new, NAMES, NOW)
    trust = x509.load_pem_x509_certificate(old.certificate)
    x509.load_pem_x509_certificate(leaf.certificate).verify_directly_issued_by(trust)


def test_every_flaw_of_a_certificate_is_named() -> None:
    authority, stranger = make_authority(NOW), make_authority(NOW)
    good = issue(authority, NAMES, NOW)
    assert flaw(good, authority, NAMES, NOW) is None
    assert flaw(good, authority, NAMES, NOW + timedelta(days=61)) == "it expires soon"
    assert flaw(good, authority, NAMES, NOW - timedelta(days=1)) == "it is not valid yet"
    assert flaw(good, authority, (*NAMES, "x.svc"), NOW) == "it is for other names"
    assert flaw(good, stranger, NAMES, NOW) == "it is not signed by this authority"
    assert flaw(KeyPair(b"x", b"y"), authority, NAMES, NOW) == "it is not signed by this authority"
    other_key = issue(authority, NAMES, NOW).key
    assert flaw(KeyPair(good.certificate, other_key), authority, NAMES, NOW) is not None


async def test_the_ca_bundle_is_patched_once_and_again_when_it_is_dropped() -> None:
    keeping = Keeping()
    path = f"{WEBHOOKS}/tidegate-injector"
    hooks: list[dict[str, Any]] = [
        {"name": name, "clientConfig": {"service": {}}} for name in ("a", "b")
    ]
    keeping.api.objects[path] = {"metadata": {"name": "tidegate-injector"}, "webhooks": hooks}
    await keeping.keeper.load()
    await keeping.keeper.publish()
    await keeping.keeper.publish()
    ca = base64.b64encode(keeping.secret("tidegate-tls")["ca.crt"]).decode()
    assert [h["clientConfig"]["caBundle"] for h in hooks] == [ca, ca]
    assert [c for c in keeping.api.calls if c[0] == "JSON-PATCH"] == [("JSON-PATCH", path)]
    del hooks[1]["clientConfig"]["caBundle"]
    patch = bundle_patch(keeping.api.objects[path], keeping.secret("tidegate-tls")["ca.crt"])
    assert [o["path"] for o in patch] == ["/webhooks/1/name", "/webhooks/1/clientConfig/caBundle"]


async def test_files_of_another_program_are_loaded_and_nothing_is_written(tmp_path: Path) -> None:
    authority = make_authority(NOW)
    keeping = Keeping("files", str(tmp_path))
    with pytest.raises(SettingsError, match="TIDEGATE_CERTIFICATE_DIR"):
        await keeping.keeper.load()
    for _ in range(2):
        pair = issue(authority, NAMES, NOW)
        (tmp_path / "tls.crt").write_bytes(pair.certificate)
        (tmp_path / "tls.key").write_bytes(pair.key)
        await keeping.keeper.load()
        serial = x509.load_pem_x509_certificate(pair.certificate).serial_number
        assert await served_serial(keeping.keeper, authority.certificate) == serial
    await keeping.keeper.publish()
    assert keeping.api.calls == []


async def test_running_pods_get_an_authority_that_replaces_theirs() -> None:
    world, api, key = World(), FakeApi(), "tidegate.dev/operator-ca"
    for pem, pod in zip(["old", "new\n", None], world.pods, strict=False):
        pod["metadata"]["annotations"] = {} if pem is None else {key: pem}
        api.objects[f"{PODS.path('default')}/{pod['metadata']['name']}"] = pod
    store = world.store()
    assert await spread(api, store, "new") == 1
    name = world.pods[0]["metadata"]["name"]
    assert api.calls == [("PATCH", f"{PODS.path('default')}/{name}")]
    assert api.objects[api.calls[0][1]]["metadata"]["annotations"] == {key: "new"}


@pytest.mark.virtual_time
async def test_a_refusal_while_the_cluster_boots_is_waited_out() -> None:
    """Roles are not in force at once: the first answers may be 403."""
    keeping = Keeping()
    refused: list[str] = []

    def refuse(method: str, path: str) -> None:
        if len(refused) < 3:
            refused.append(path)
            raise ApiError(403, "secrets is forbidden")

    keeping.api.refuse = refuse
    await keeping.keeper.first()
    assert len(refused) == 3
    assert keeping.secret("tidegate-tls")["tls.crt"]
