"""The certificates of a site, made as `dfip certs` makes them, good ones and bad ones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cli.certificates.authority import SERVICES, make_authority, sign, tls_files
from service_runtime.transport import TlsFiles, Transport


class TestCertificates:
    """An authority of its own and a certificate for each service; nobody else's authority."""

    __test__ = False  # not a test case, whatever its name says

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._now = datetime.now(UTC)
        make_authority(folder, now=self._now - timedelta(days=100))
        for service in SERVICES:
            self.renew(service)

    def renew(self, service: str) -> None:
        """Replace a certificate by one that holds."""
        sign(self.folder, service, now=self._now, days=60)

    def expire(self, service: str) -> None:
        """Replace a certificate by one that ended yesterday."""
        sign(self.folder, service, now=self._now - timedelta(days=2), days=1)

    def files(self, service: str) -> TlsFiles:
        return tls_files(self.folder, service)

    def transport(self, service: str) -> Transport:
        return Transport(tls=self.files(service))

    def settings(self, service: str) -> dict[str, Any]:
        """Return a service's settings that name its files."""
        files = self.files(service)
        return {
            "tls_cert_file": files.cert_file,
            "tls_key_file": files.key_file,
            "tls_ca_file": files.ca_file,
        }
