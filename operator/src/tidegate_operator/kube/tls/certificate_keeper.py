"""Keeps the certificate in Secrets, in the listening TLS context and in the webhook's caBundle.

Two Secrets: the authority with its key, which only the operator reads, and the certificate, which
the injector mounts. Every replica makes what is missing; the API server lets only one of them win
and the others read what it made. Modes with an external certificate (cert-manager, an
existing Secret) read files, and leave Secrets and caBundle alone.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tidegate.contract.errors import SettingsError
from tidegate.contract.settings import variable
from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_operator.kube.settings import CertificateSettings
from tidegate_operator.kube.tls.certificates import (
    KeyPair,
    authority_flaw,
    flaw,
    issue,
    make_authority,
)

LOOK_EVERY_S: Final = 60.0
FIRST_AGAIN_S: Final = 1.0
TRIES: Final = 5
NOT_FOUND, CONFLICT = 404, 409
Spread = Callable[[str], Awaitable[object]]
"""Sends the authority's PEM to the running pods."""

WEBHOOKS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
log = logging.getLogger("tidegate.certificate")


@dataclass(frozen=True, slots=True)
class _Kept:
    """A Secret with a key pair: its name, type, and the keys of certificate and private key."""

    name: str
    type: str
    certificate: str
    key: str


class CertificateKeeper:
    """The certificate of this operator. `now` gives the time in UTC; `namespace` is its own.

    Any replica may write the Secrets through `api`, where a resourceVersion decides between two;
    the webhook is written through `leader_api`.
    """

    def __init__(
        self,
        api: KubeApi,
        leader_api: KubeApi,
        settings: CertificateSettings,
        namespace: str,
        now: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._leader_api = leader_api
        self._settings = settings
        self._secrets = f"/api/v1/namespaces/{namespace}/secrets"
        self._now = now
        self._loaded: KeyPair | None = None
        self._authority: KeyPair | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    async def load(self) -> None:
        """Have a usable certificate in `context`: new connections get it, open ones go on.

        Raises `SettingsError` for unusable files, `ApiError` where the Secrets cannot be kept.
        """
        if self._settings.mode == "files":
            pair = _from_files(Path(self._settings.directory))
        else:
            pair = await self._from_api()
        if pair != self._loaded:
            _load_into(self.context, pair)
            self._loaded = pair

    async def first(self) -> None:
        """Load for the first time, as soon as it can be done; raises `SettingsError`.

        While a cluster boots, its API server may be away, or its roles not yet in force (403).
        """
        while True:
            try:
                return await self.load()
            except ApiError as error:
                log.warning("the certificate cannot be kept yet: %s", error)
            await asyncio.sleep(FIRST_AGAIN_S)

    async def run(self, leads: Callable[[], bool], spread: Spread) -> None:
        """Reload periodically, for ever; the leader also updates the webhook and the pods."""
        while True:
            try:
                await self.load()
                if leads():
                    await self.publish()
                    if self._authority is not None:
                        await spread(self._authority.certificate.decode())
            except (ApiError, SettingsError) as error:
                log.warning("the certificate cannot be stored: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def publish(self) -> None:
        """Write the authority's certificate into the webhook's caBundle where it differs."""
        name = self._settings.webhook_configuration
        if self._authority is None or not name:
            return
        found = await self._api.get(f"{WEBHOOKS}/{name}")
        operations = bundle_patch(found, self._authority.certificate)
        if operations:
            await self._leader_api.patch(f"{WEBHOOKS}/{name}", operations)
            log.info("the caBundle of %s is up to date", name)

    async def _from_api(self) -> KeyPair:
        """Read both Secrets and make what is missing or about to expire."""
        for _ in range(TRIES):
            try:
                authority = await self._keep_authority()
                pair = await self._keep_certificate(authority)
            except ApiError as error:
                if error.status != CONFLICT:
                    raise
                continue  # another replica was faster: read what it made
            self._authority = authority
            return pair
        raise ApiError(CONFLICT, "the certificate's Secrets keep changing")

    async def _keep_authority(self) -> KeyPair:
        kept = _Kept(self._settings.ca_secret, "Opaque", "ca.crt", "ca.key")
        secret = await self._read(kept)
        pair = pair_in(secret, kept.certificate, kept.key)
        if pair is None:
            return await self._write(kept, secret, make_authority(self._now()), {})
        try:
            problem = authority_flaw(pair, self._now())
        except ValueError as error:
            raise SettingsError(variable("ca_secret"), f"{kept.name}: {error}") from None
        if problem is None:
            return pair
        return await self._write(kept, secret, make_authority(self._now(), renewed=pair), {})

    async def _keep_certificate(self, authority: KeyPair) -> KeyPair:
        kept = _Kept(self._settings.secret, "kubernetes.io/tls", "tls.crt", "tls.key")
        secret = await self._read(kept)
        pair = pair_in(secret, kept.certificate, kept.key)
        names = self._settings.dns_names
        problem = "there is none" if pair is None else flaw(pair, authority, names, self._now())
        told = ((secret or {}).get("data") or {}).get("ca.crt")
        if pair is not None and problem is None and told == _b64(authority.certificate):
            return pair
        log.info("making a certificate for %s: %s", ", ".join(names), problem or "new authority")
        made = issue(authority, names, self._now())
        return await self._write(kept, secret, made, {"ca.crt": authority.certificate})

    async def _read(self, kept: _Kept) -> dict[str, Any] | None:
        try:
            return await self._api.get(f"{self._secrets}/{kept.name}")
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def _write(
        self, kept: _Kept, secret: dict[str, Any] | None, pair: KeyPair, more: Mapping[str, bytes]
    ) -> KeyPair:
        held = {kept.certificate: pair.certificate, kept.key: pair.key, **more}
        data = {name: _b64(value) for name, value in held.items()}
        if secret is not None:
            # With the resourceVersion that was read: a writer in between makes this a conflict.
            await self._api.put(f"{self._secrets}/{kept.name}", {**secret, "data": data})
            return pair
        meta = {"name": kept.name, "labels": {"app.kubernetes.io/managed-by": "tidegate-operator"}}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": meta}
        await self._api.post(self._secrets, {**body, "type": kept.type, "data": data})
        return pair


def _from_files(directory: Path) -> KeyPair:
    try:
        return KeyPair((directory / "tls.crt").read_bytes(), (directory / "tls.key").read_bytes())
    except OSError as error:
        raise SettingsError(variable("certificate_dir"), str(error)) from None


def _load_into(context: ssl.SSLContext, pair: KeyPair) -> None:
    """An SSLContext reads nothing but files, so the key is in one for a moment."""
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory, "tls.crt"), Path(directory, "tls.key")
        certificate.write_bytes(pair.certificate)
        key.touch(mode=0o600)
        key.write_bytes(pair.key)
        try:
            context.load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(variable("certificate_dir"), f"unusable: {error}") from None


def pair_in(secret: Mapping[str, Any] | None, certificate: str, key: str) -> KeyPair | None:
    """The key pair in a Secret; ``None`` where it is missing or not base64."""
    data = (secret or {}).get("data") or {}
    try:
        found = (
            base64.b64decode(data.get(name) or "", validate=True) for name in (certificate, key)
        )
        pair = KeyPair(*found)
    except (binascii.Error, ValueError):
        return None
    return pair if pair.certificate and pair.key else None


def bundle_patch(configuration: Mapping[str, Any], certificate: bytes) -> list[dict[str, Any]]:
    """The JSON patch that gives every webhook of a configuration this caBundle; empty if it has it.

    Each change first tests the webhook's name, so that a reordered list is a conflict, no mix-up.
    """
    bundle = _b64(certificate)
    operations: list[dict[str, Any]] = []
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        if webhook["clientConfig"].get("caBundle") == bundle:
            continue
        path = f"/webhooks/{index}"
        operations += [
            {"op": "test", "path": f"{path}/name", "value": webhook["name"]},
            {"op": "add", "path": f"{path}/clientConfig/caBundle", "value": bundle},
        ]
    return operations


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()
