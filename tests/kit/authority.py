"""A certificate authority that writes certificates as a Secret volume holds them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
