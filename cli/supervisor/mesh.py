"""Which processes make the mesh on one machine, and what each is told.

The one place that knows the rooms' settings by name. Order is start order; the reverse is stop
order, so that the camera manager drains its workers while everything they report to still runs.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cli.certificates.authority import tls_files
from cli.failures import CommandFailed, ExitCode
from cli.supervisor.child import ChildSpec
from cli.supervisor.site import Site
from deploy.envoy.edge import EdgeSettings, envoy_command, write_edge
from deploy.envoy.token_check import TokenIssuer
from service_runtime.identity_provider import IdentityProviderSettings
from service_runtime.settings import SettingsError, load_settings
from service_runtime.transport import TlsFiles

_CLIENT_VARIABLES = ("DFIP_TOKEN", "DFIP_TOKEN_FILE", "DFIP_SERVER", "DFIP_DATA_DIR", "DFIP_DEBUG")
_OWN_TLS = "DFIP_TLS"
_TLS_PREFIXES = ("DFIP_TLS_", "DFIP_WORKER_TLS_")
_DATABASE_VARIABLE = "DFIP_DATABASE_URL"
_FOLDER_VARIABLES = {
    "DFIP_CACHE_DIR",
    "DFIP_CAMERA_CA_FILE",
    "DFIP_IDP_JWKS_FILE",
    "DFIP_MODEL_DIR",
    "DFIP_WEBHOOK_CA_FILE",
    "XDG_CACHE_HOME",
}
_TELEMETRY_SERVICE = "dfip.control_plane.v1.TelemetryService"
_ROOMS_BEHIND_THE_EDGE = ("control_plane", "identity_index", "camera_manager")
_MANAGER_STOP_S = 6.5
"""Its workers report what they hold before they end."""


def mesh_children(site: Site, environ: Mapping[str, str] = os.environ) -> list[ChildSpec]:
    """Return the services of a site, in the order of their start, and write the edge's files.

    Raises:
        CommandFailed: the site asks for what its database cannot do.
    """
    if site.telemetry_apart and _DATABASE_VARIABLE not in environ:
        raise CommandFailed(
            "Telemetry runs as a process of its own on PostgreSQL alone; set DFIP_DATABASE_URL, or"
            " leave --telemetry-apart out.",
            code=ExitCode.USAGE,
        )
    control_plane = site.target("control_plane")
    index = site.target("identity_index")
    edge = _write_edge(site, environ)
    inherited = inherited_environment(environ) | {"DFIP_JWKS_FILE": str(site.jwks_file)}

    def room(name: str, token: str, **settings: str) -> dict[str, str]:
        return (
            inherited
            | _tls_of(site, name)
            | {
                "DFIP_LISTEN": site.target(name),
                "DFIP_TOKEN_FILE": str(site.runtime_dir / "tokens" / f"{token}.token"),
                "DFIP_PACK": site.pack_id,
                "DFIP_MEDIA_ROOT": str(site.media_root),
                "DFIP_REFLECTION": "1",
                **site.camera_variables,
                **settings,
            }
        )

    telemetry = ChildSpec(
        name="telemetry",
        command=(*_python("control_plane"), "--only", "telemetry"),
        environment=inherited
        | _of_the_database(environ)
        | _tls_of(site, "control_plane")
        | {"DFIP_LISTEN": site.target("telemetry")},
        # the control plane migrates the database before it listens
        start_when=lambda: listens(control_plane),
    )
    return [
        ChildSpec(
            name="control_plane",
            command=_python("control_plane"),
            environment=room(
                "control_plane",
                "control_plane",
                **_of_the_database(environ),
                DFIP_DATA_DIR=str(site.data_dir),
                DFIP_TOKENS_DIR=str(site.runtime_dir / "tokens"),
                DFIP_INDEX_TARGET=index,
            ),
        ),
        *([telemetry] if site.telemetry_apart else []),
        ChildSpec(
            name="identity_index",
            command=_python("identity_index"),
            environment=room("identity_index", "index", DFIP_CONTROL_PLANE_TARGET=control_plane),
        ),
        ChildSpec(
            name="envoy",
            command=(
                *_python("cli.supervisor.tether"),
                str(os.getpid()),
                *envoy_command(edge),
            ),
            environment=inherited,
        ),
        ChildSpec(
            name="camera_manager",
            command=_python("camera_manager"),
            environment=room(
                "camera_manager",
                "manager",
                DFIP_CONTROL_PLANE_TARGET=control_plane,
                DFIP_INDEX_TARGET=index,
                DFIP_WORKERS_DIR=str(site.workers_dir),
                DFIP_SOCKETS_DIR=str(site.runtime_dir),
                **_tls_of(site, "vision_worker", "DFIP_WORKER_TLS"),
                **_packing(site),
            ),
            stop_s=_MANAGER_STOP_S,
            start_when=lambda: listens(control_plane),
        ),
    ]


def _packing(site: Site) -> dict[str, str]:
    count = site.cameras_per_worker
    return {} if count is None else {"DFIP_CAMERAS_PER_WORKER": str(count)}


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what every service gets of this process's environment.

    Without what is for the client commands, the database's address and certificates of somebody
    else; with folders that mean the
    same from any folder, and with a Python that imports nothing from the one it happens to run in.
    """
    kept = {*_CLIENT_VARIABLES, _DATABASE_VARIABLE}
    passed_on = {
        name: value
        for name, value in environ.items()
        if name not in kept and not name.startswith(_TLS_PREFIXES)
    }
    for name in _FOLDER_VARIABLES & passed_on.keys():
        folders = (Path(part) for part in passed_on[name].split(os.pathsep) if part)
        passed_on[name] = os.pathsep.join(str(folder.absolute()) for folder in folders)
    return passed_on | {"PYTHONSAFEPATH": "1"}


def _write_edge(site: Site, environ: Mapping[str, str]) -> Path:
    """Write the edge's files, with whoever else than the site may say who people are."""
    try:
        provider = load_settings(IdentityProviderSettings, environ).identity_provider()
        return write_edge(
            site.runtime_dir / "edge",
            EdgeSettings(
                http_host=site.host,
                http_port=site.http_port,
                clusters={room: site.target(room) for room in _ROOMS_BEHIND_THE_EDGE},
                services={_TELEMETRY_SERVICE: site.target("telemetry")}
                if site.telemetry_apart
                else {},
                jwks_file=site.jwks_file,
                tls=_tls_files(site, "edge"),
                identity_provider=None
                if provider is None
                else TokenIssuer(
                    issuer=provider.issuer,
                    audiences=[provider.audience],
                    jwks_file=provider.jwks_file,
                ),
            ),
        )
    except (SettingsError, ValueError) as error:
        raise CommandFailed(f"The site cannot be set up: {error}", code=ExitCode.USAGE) from None


def _of_the_database(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what its owner alone may know of: the address holds a password."""
    return {name: environ[name] for name in (_DATABASE_VARIABLE,) if name in environ}


async def listens(target: str) -> bool:
    """Tell whether a service accepts connections where it should listen."""
    try:
        if target.startswith("unix:"):
            _, writer = await asyncio.open_unix_connection(target.removeprefix("unix:"))
        else:
            host, _, port = target.rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


def _tls_files(site: Site, service: str) -> TlsFiles | None:
    return None if site.tls is None else tls_files(site.tls.certificates_dir, service)


def _tls_of(site: Site, service: str, prefix: str = _OWN_TLS) -> dict[str, str]:
    """Return what a service is told of its certificate; nothing without TLS."""
    files = _tls_files(site, service)
    if files is None:
        return {}
    told = {f"{prefix}_CERT_FILE": str(files.cert_file), f"{prefix}_KEY_FILE": str(files.key_file)}
    return told if prefix != _OWN_TLS else told | {f"{prefix}_CA_FILE": str(files.ca_file)}


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)
