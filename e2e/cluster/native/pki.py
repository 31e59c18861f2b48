"""Keys and certificates of a cluster: one authority signs every server and client.

Who may do what follows from the subject (Kubernetes documentation, "PKI certificates and
requirements"): O=system:masters is the administrator, system:node:NAME in O=system:nodes is what
the Node authorizer and NodeRestriction ask of a kubelet.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.cluster.native.layout import (
    API_SERVICE_IP,
    CLUSTER_DOMAIN,
    OUTER_IP,
    Layout,
    node_ip,
    node_name,
)

VALID = datetime.timedelta(days=365)
CLOCK_SLACK = datetime.timedelta(hours=1)
ADMIN = "admin"
KUBELET_CLIENT = "apiserver-kubelet-client"
COREDNS = "coredns"
CONTROL_PLANE_USERS = ("kube-controller-manager", "kube-scheduler", "kube-proxy")
_MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_pki(layout: Layout, nodes: int) -> None:
    """Write ``NAME.crt`` and ``NAME.key`` for everybody into the cluster's folder."""
    folder = layout.pki
    folder.mkdir(parents=True, exist_ok=True)
    authority = _authority(folder)
    kubernetes = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names = [*kubernetes, f"kubernetes.default.svc.{CLUSTER_DOMAIN}", "localhost"]
    addresses = [API_SERVICE_IP, OUTER_IP, "127.0.0.1"]
    _issue(folder, authority, "apiserver", "kube-apiserver", names=[*names, *addresses])
    _issue(folder, authority, KUBELET_CLIENT, "kube-apiserver", _MASTERS)
    _issue(folder, authority, ADMIN, ADMIN, _MASTERS)
    _issue(folder, authority, COREDNS, COREDNS, _MASTERS)
    for user in CONTROL_PLANE_USERS:
        _issue(folder, authority, user, f"system:{user}")
    for node in range(1, nodes + 1):
        name = node_name(node)
        reached_at = [name, node_ip(node)]
        _issue(folder, authority, name, f"system:node:{name}", "system:nodes", reached_at)
    _service_account_keys(folder)


def _authority(folder: Path) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("tidegate-e2e", None)
    builder = _builder(subject, subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    _write(folder, "ca", certificate, key)
    return _Authority(certificate, key)


def _issue(
    folder: Path,
    authority: _Authority,
    file: str,
    common_name: str,
    organization: str | None = None,
    names: Sequence[str] = (),
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject
    builder = _builder(_name(common_name, organization), issuer, key.public_key())
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    ).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        critical=False,
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
        )
    _write(folder, file, builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + VALID)
    )


def _name(common_name: str, organization: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(
    folder: Path, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    pem = serialization.Encoding.PEM
    (folder / f"{file}.crt").write_bytes(certificate.public_bytes(pem))
    _write_key(folder / f"{file}.key", key)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _service_account_keys(folder: Path) -> None:
    """What signs the pods' tokens, and what checks them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_key(folder / "service-accounts.key", key)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "service-accounts.pub").write_bytes(public)
