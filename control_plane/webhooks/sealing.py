"""How what is secret about a webhook stands in its row: sealed for its own place."""

from typing import Final

from control_plane.encryption import Vault
from control_plane.webhooks.tables import WebhookRow
from service_runtime.secret import Secret

_TABLE: Final = "webhooks"
URL: Final = "sealed_url"
SECRET: Final = "sealed_secret"  # noqa: S105 - the name of a column
OLD_SECRET: Final = "sealed_old_secret"  # noqa: S105 - the name of a column


class WebhookSeals:
    """Seals and opens addresses and secrets of webhooks."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, value: Secret, *, column: str, webhook_id: str) -> bytes:
        """Return a value sealed for a column of a webhook's row."""
        plain = value.reveal().encode()
        return self._vault.seal(plain, table=_TABLE, column=column, row_id=webhook_id)

    def url(self, row: WebhookRow) -> Secret:
        """Return the address.

        Raises:
            VaultError: It does not open; so for the other two.
        """
        return self._open(row, URL, row.sealed_url)

    def secret(self, row: WebhookRow) -> Secret:
        """Return the secret."""
        return self._open(row, SECRET, row.sealed_secret)

    def old_secret(self, row: WebhookRow) -> Secret | None:
        """Return the secret before it, where it is kept."""
        if row.sealed_old_secret is None:
            return None
        return self._open(row, OLD_SECRET, row.sealed_old_secret)

    def _open(self, row: WebhookRow, column: str, sealed: bytes) -> Secret:
        plain = self._vault.open(sealed, table=_TABLE, column=column, row_id=row.id)
        return Secret(plain.decode())
