"""What the control plane is started with: read once, from ``DFIP_…`` variables."""

from dataclasses import dataclass
from pathlib import Path

from service_runtime.identity_provider import IdentityProviderSettings
from service_runtime.secret import Secret
from service_runtime.transport import TransportSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(IdentityProviderSettings, TransportSettings):
    """Settings of a control plane.

    Attributes:
        listen: ``unix:/path`` or ``host:port``.
        data_dir: Database, keys, pictures and the administrator's token.
        tokens_dir: Where the other services of the site find their tokens.
        jwks_file: Where they find the keys to check tokens with.
        media_root: The only folder whose files cameras may play.
        allow_devices: Cameras may be devices of the machine that their worker runs on.
        index_target: Where the identity index listens.
        database_url: Address of a PostgreSQL database; None for SQLite in ``data_dir``.
        master_key_file: File of the master key; None for ``keys/master.key`` in ``data_dir``.
            Every replica of a database needs the same.
        backup_dir: Folder of the backups and of the list of erasures; None for ``backups`` in
            ``data_dir``. Best on another disk.
        backup_keep: Backups that are kept.
        postgres_bin_dir: Folder of ``pg_dump`` and ``pg_restore``; None looks in PATH.
        pack: Model pack of cameras that name none.
        reflection: Let callers ask which services there are.
        event_days: Days that the change feed goes back.
        event_rows: Events that it holds at most.
        sighting_days: Days that sightings and their pictures are kept; on PostgreSQL to the end of
            the day (UTC).
        telemetry_days: Days that telemetry is kept; the same.
        alert_days: Days that alerts are kept.
        audit_days: Days that audit rows are kept.
        audit_refusals: Rows of refused calls that it holds at most.
        webhook_networks: Networks besides public ones that webhooks may post to, as
            ``10.0.0.0/8,fd00:1::/64``.
        webhook_http: Let webhooks post unencrypted.
        webhook_ca_file: Authorities to trust in place of the machine's, as PEM.
        webhook_days: Days that deliveries to webhooks are kept once they are over.
    """

    listen: str
    data_dir: Path
    tokens_dir: Path
    jwks_file: Path
    media_root: Path
    index_target: str
    allow_devices: bool = False
    database_url: Secret | None = None
    master_key_file: Path | None = None
    backup_dir: Path | None = None
    backup_keep: int = 7
    postgres_bin_dir: Path | None = None
    pack: str = "builtin"
    reflection: bool = False
    event_days: float = 7
    event_rows: int = 200_000
    sighting_days: float = 30
    telemetry_days: float = 30
    alert_days: float = 90
    audit_days: float = 3 * 365
    audit_refusals: int = 500_000
    webhook_networks: str = ""
    webhook_http: bool = False
    webhook_ca_file: Path | None = None
    webhook_days: float = 7
