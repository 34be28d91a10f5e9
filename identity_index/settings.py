"""What the identity index is told by its environment; read once, in `assembly`."""

from dataclasses import dataclass
from pathlib import Path

from service_runtime.identity_provider import IdentityProviderSettings
from service_runtime.settings import SettingsError
from service_runtime.transport import TransportSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(IdentityProviderSettings, TransportSettings):
    """Settings of the service; field ``listen`` comes from ``DFIP_LISTEN``, and so on.

    Attributes:
        listen: ``unix:/path`` or ``host:port``.
        jwks_file: public keys that tokens are checked with.
        token_file: the service's own token.
        control_plane_target: where the enrolled faces come from.
        pack: model pack of the gallery and of the photographs.
        reflection: offer gRPC reflection.
        search_threads: CPU threads of one search.
        analysis_threads: CPU threads for one photograph.
    """

    listen: str
    jwks_file: Path
    token_file: Path
    control_plane_target: str
    pack: str = "builtin"
    reflection: bool = False
    search_threads: int = 1
    analysis_threads: int = 1

    def __post_init__(self) -> None:
        for name, threads in (
            ("DFIP_SEARCH_THREADS", self.search_threads),
            ("DFIP_ANALYSIS_THREADS", self.analysis_threads),
        ):
            if not 1 <= threads <= 256:
                raise SettingsError(f"{name} must be 1 to 256")
