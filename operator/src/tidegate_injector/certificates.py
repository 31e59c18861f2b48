"""The webhook's certificate from a directory that another program writes.

Operator, cert-manager or a person writes a Secret, the kubelet puts it into a volume and swaps the
files at once by a symlink. New files are taken up for new connections without a restart: they are
loaded into the one context that the server listens with. A pair that does not fit together leaves
the old one in use.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from pathlib import Path
from typing import Final

from cryptography import x509

from tidegate_injector.meters import Meters

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
CA_FILE: Final = "ca.crt"

CHECK_EVERY_S: Final = 5.0
"""The kubelet itself takes up to a minute to bring a changed Secret."""

CHECK_MISSING_EVERY_S: Final = 0.25

_log = logging.getLogger("tidegate.injector.certificates")


class CertificateFolder:
    """Certificate, key and CA of `folder`; `context` is what the server listens with.

    `ca_pem` is what sidecars shall trust; ``None`` before there is one, or where the folder has
    none (a certificate that the image's own roots have signed).
    """

    def __init__(self, folder: Path, meters: Meters) -> None:
        self._folder = folder
        self._meters = meters
        self._loaded: tuple[bytes, bytes, bytes] | None = None
        self.context = _server_context()
        self.ca_pem: str | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether there has been a usable pair."""
        return self._loaded is not None

    def look(self) -> None:
        """Take the files up if they are new and fit together."""
        files = self._read()
        if files is None or files == self._loaded:
            return
        certificate, _, ca = files
        try:
            self._take(files)
            ends = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
            ca_pem = ca.decode("ascii") or None
        except (OSError, ValueError) as error:  # among them ssl.SSLError, and a full disk
            self._meters.certificate_loads.labels(result="refused").inc()
            _log.warning("the certificate in %s is not usable: %s", self._folder, error)
            return
        self._loaded, self.ca_pem = files, ca_pem
        self._meters.certificate_loads.labels(result="taken").inc()
        self._meters.certificate_expiry.set(ends.timestamp())
        _log.info("certificate loaded", extra={"ends": ends.isoformat()})

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(CHECK_EVERY_S if self.is_loaded else CHECK_MISSING_EVERY_S)

    def _read(self) -> tuple[bytes, bytes, bytes] | None:
        try:
            certificate = (self._folder / CERTIFICATE_FILE).read_bytes()
            key = (self._folder / KEY_FILE).read_bytes()
            ca = self._folder / CA_FILE
            return certificate, key, ca.read_bytes() if ca.is_file() else b""
        except OSError:
            return None

    def _take(self, files: tuple[bytes, bytes, bytes]) -> None:
        """Load the pair that was read, first for trial; the folder may change meanwhile."""
        certificate, key, _ = files
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(certificate.rstrip() + b"\n" + key)
            pair.flush()
            _server_context().load_cert_chain(pair.name)
            self.context.load_cert_chain(pair.name)


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
