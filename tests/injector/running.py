"""A real injector process on loopback, and certificates for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIMIT_S = 20.0


class Authority:
    """A CA that writes certificates as a Secret volume would hold them."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, x509.BasicConstraints(True, 0))
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def write(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "injector")])
        leaf = self._sign(name, key, x509.BasicConstraints(False, None))
        (folder / "tls.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (folder / "ca.crt").write_text(self.pem)
        (folder / "tls.crt").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))

    def client(self) -> httpx2.AsyncClient:
        context = ssl.create_default_context(cadata=self.pem)
        return httpx2.AsyncClient(verify=context, trust_env=False, timeout=LIMIT_S)

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, basic: x509.BasicConstraints
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(basic, critical=True)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )


@dataclass
class Running:
    """A started process; its ports are known once it has announced them."""

    process: asyncio.subprocess.Process

    async def ports(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), LIMIT_S)
        said: dict[str, Any] = json.loads(line)
        return said

    async def stop(self) -> int:
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), LIMIT_S)


@contextlib.asynccontextmanager
async def injector(folder: Path, **settings: str) -> AsyncIterator[Running]:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONWARNINGS": "error",
        "TIDEGATE_HOST": "127.0.0.1",
        "TIDEGATE_WEBHOOK_PORT": "0",
        "TIDEGATE_HEALTH_PORT": "0",
        "TIDEGATE_CERTIFICATE_DIR": str(folder),
        "TIDEGATE_SIDECAR_IMAGE": "registry.example/sidecar:1",
        "TIDEGATE_SIDECAR_DEFAULTS": '{"backplane": "nats://nats:4222"}',
        "TIDEGATE_OPERATOR_URL": "https://operator.tidegate.svc:9443",
        "TIDEGATE_STOP_DELAY_S": "0",
        **{f"TIDEGATE_{name}": value for name, value in settings.items()},
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidegate_injector"),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def admission(pod: dict[str, Any], **request: Any) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "shop",
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            **request,
        },
    }


def pod(**annotations: str) -> dict[str, Any]:
    keys = {f"tidegate.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "metadata": {
            "generateName": "web-",
            "annotations": {"tidegate.dev/inject": "true", **keys},
        },
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }
