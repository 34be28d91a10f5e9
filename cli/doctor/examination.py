"""`dfip doctor` from beginning to end: every check, one line each, and whether all is well."""

import asyncio
import os
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.client.access import Access, find_access
from cli.doctor.findings import Finding, fail
from cli.doctor.machine import (
    check_certificates,
    check_clock,
    check_data_dir,
    check_disk,
    check_port,
    check_token_file,
)
from cli.doctor.programs import (
    check_accelerator,
    check_database,
    check_envoy,
    check_models,
)
from cli.doctor.site import check_keys, check_site
from cli.failures import CommandFailed
from cli.output import Column, Output
from cli.places import ADMIN_TOKEN, certificates_dir
from cli.supervisor.health import is_healthy
from cli.supervisor.site import runtime_dir_of

_MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}

FINDING: tuple[Column[Finding], ...] = (
    Column(title="check", value=lambda f: f.check),
    Column(title="verdict", value=lambda f: f.verdict, shown=lambda f: _MARKS[f.verdict]),
    Column(title="found", value=lambda f: f.told),
    Column(title="what to do", value=lambda f: f.remedy, aside=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined.

    Attributes:
        server: address of the running site, where it is not the one of `host` and `port`.
        token_file: of the caller; None for the one that `dfip up` leaves.
    """

    data_dir: Path
    host: str
    port: int
    pack_id: str
    server: str | None
    token_file: Path | None


async def examine(patient: Patient, output: Output) -> None:
    """Look at everything and print it.

    Raises:
        CommandFailed: Something is wrong that keeps a site from running well.
    """
    findings = await findings_of(patient)
    output.listing(findings, FINDING)
    failed = [finding.check for finding in findings if finding.verdict == "fail"]
    if failed:
        raise CommandFailed(f"Not all is well: {', '.join(failed)}; see what to do above.")


async def findings_of(patient: Patient) -> list[Finding]:
    """Return what every check finds, the machine first, the running site last."""
    access = _access(patient)
    server_host, _, server_port = (
        (access.target if isinstance(access, Access) else "").rpartition(":")
        if patient.server
        else (patient.host, "", str(patient.port))
    )
    data_dir, now = patient.data_dir.expanduser().absolute(), datetime.now(UTC)
    serves = bool(server_host) and await is_healthy(server_host.strip("[]"), int(server_port))
    serves_here = serves if patient.server is None else await is_healthy(patient.host, patient.port)
    # one after the other, and before the rest: they import large libraries, and two threads that
    # import what imports each other may meet half of a module
    models = await _looked_at("models", asyncio.to_thread(check_models, patient.pack_id))
    accelerator = await _looked_at("accelerator", asyncio.to_thread(check_accelerator))
    envoy, database, site = await asyncio.gather(
        _looked_at("envoy", check_envoy()),
        _looked_at("database", check_database(data_dir)),
        _looked_at("site", check_site(access, serves=serves)),
    )
    token = access.token.reveal() if isinstance(access, Access) else ""
    return [
        check_port(patient.host, patient.port, serves=serves_here),
        check_disk(data_dir),
        check_clock(data_dir, now),
        check_data_dir(data_dir),
        check_certificates(certificates_dir(data_dir), now),
        check_token_file(patient.token_file or data_dir / ADMIN_TOKEN, now),
        *database,
        *envoy,
        *models,
        *accelerator,
        check_keys(runtime_dir_of(data_dir) / "jwks.json", token),
        *site,
    ]


async def _looked_at(
    check: str, look: Awaitable[Finding] | Awaitable[list[Finding]]
) -> list[Finding]:
    """Return what a check finds; one that breaks is a finding, and hides no other."""
    try:
        found = await look
    except CommandFailed as failure:
        return [fail(check, failure.what, failure.remedy)]
    except Exception as error:  # the root of a check
        if os.environ.get("DFIP_DEBUG") == "1":
            raise
        told = f"it could not be looked at ({type(error).__name__})"
        return [fail(check, told, "Run it again with DFIP_DEBUG=1 to see where it breaks.")]
    return found if isinstance(found, list) else [found]


def _access(patient: Patient) -> Access | CommandFailed:
    try:
        own = patient.data_dir.expanduser() / ADMIN_TOKEN
        token_file = patient.token_file or (own if own.is_file() else None)
        return find_access(patient.server or f"http://{patient.host}:{patient.port}", token_file)
    except CommandFailed as failure:
        return failure
