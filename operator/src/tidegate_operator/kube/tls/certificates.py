"""The certificate of report API and webhook: made here, signed by an authority of our own.

Pods keep the authority's certificate for as long as they live, so it is made for ten years and
renewed with the same key and name: what the old one has signed or will be asked to verify stays
valid. The certificate itself lives for ninety days and is replaced after two thirds of them.
Profiles follow RFC 5280 as strictly as Python 3.13 checks it (key identifiers, key usage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE: Final = timedelta(days=3650)
CA_RENEWED_BEFORE: Final = timedelta(days=365)
LIFE: Final = timedelta(days=90)
RENEWED_BEFORE: Final = timedelta(days=30)
BACKDATED: Final = timedelta(hours=1)
"""Clocks differ: a certificate that is valid from this very second is not valid everywhere."""

MAX_COMMON_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def make_authority(now: datetime, renewed: KeyPair | None = None) -> KeyPair:
    """A self-signed authority, or `renewed` again with the same key and name. `now` is in UTC."""
    key = _key(renewed) if renewed else ec.generate_private_key(ec.SECP256R1())
    name = _read(renewed.certificate).subject if renewed else _name("tidegate-ca")
    builder = (
        _builder(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_authority_id(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(authority: KeyPair, dns_names: Sequence[str], now: datetime) -> KeyPair:
    """A server certificate for `dns_names` (at least one), signed by `authority`."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, issuer_key = _read(authority.certificate), _key(authority)
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])
    subject = _name(dns_names[0][:MAX_COMMON_NAME])
    builder = (
        _builder(subject, issuer.subject, key.public_key(), now, LIFE)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_authority_id(issuer_key.public_key()), critical=False)
    )
    return _pair(builder.sign(issuer_key, hashes.SHA256()), key)


def authority_flaw(pair: KeyPair, now: datetime) -> str | None:
    """Why an authority must be renewed; raises `ValueError` where it cannot be read at all."""
    certificate = _read(pair.certificate)
    if _key(pair).public_key() != certificate.public_key():
        raise ValueError("the CA's key and certificate do not belong together")
    if now > certificate.not_valid_after_utc - CA_RENEWED_BEFORE:
        return "it expires soon"
    return None


def flaw(pair: KeyPair, authority: KeyPair, dns_names: Sequence[str], now: datetime) -> str | None:
    """Why a certificate must be replaced: unreadable, foreign, for other names, or expiring."""
    try:
        certificate = _read(pair.certificate)
        if _key(pair).public_key() != certificate.public_key():
            return "its key belongs to another certificate"
        certificate.verify_directly_issued_by(_read(authority.certificate))
    except (ValueError, TypeError, InvalidSignature):
        return "it is not signed by this authority"
    if now > certificate.not_valid_after_utc - RENEWED_BEFORE:
        return "it expires soon"
    if now < certificate.not_valid_before_utc:
        return "it is not valid yet"
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if not set(dns_names) <= set(named.get_values_for_type(x509.DNSName)):
        return "it is for other names"
    return None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_id(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _read(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _key(pair: KeyPair) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pair.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic-curve key")
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(certificate.public_bytes(Encoding.PEM), private)
