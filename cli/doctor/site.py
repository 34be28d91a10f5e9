"""Checks of the site that runs: its keys, its services, its cameras, what they were promised."""

import json
from pathlib import Path

from cli.client.access import Access, connected
from cli.client.status import SiteState, read_status
from cli.doctor.findings import Finding, Verdict, fail, ok, warn
from cli.doctor.machine import token_part
from cli.failures import CommandFailed


def check_keys(jwks_file: Path, token: str) -> Finding:
    """Tell whether the services' keys check the caller's token, and hold nothing secret."""
    if not jwks_file.exists():
        return ok("keys", f"{jwks_file} is not there; `dfip up` makes it")
    try:
        keys = json.loads(jwks_file.read_text(encoding="utf-8"))["keys"]
        names = {key["kid"] for key in keys}
        secret = any("d" in key or key.get("kty") == "oct" for key in keys)
    except (OSError, ValueError, KeyError, TypeError):
        return fail("keys", f"{jwks_file} holds no keys", "Start `dfip up` again, which writes it.")
    if secret:
        return fail(
            "keys",
            f"{jwks_file} holds a private key, which every service could sign with",
            "Rotate the keys and write the public halves alone.",
        )
    header = token_part(token, 0) if token else None
    if header is not None and header.get("kid") not in names:
        return fail(
            "keys", "none of the site's keys checks the token", "Use a token of this very site."
        )
    return ok("keys", f"{len(names)} public keys in {jwks_file}")


async def check_site(access: Access | CommandFailed, *, serves: bool) -> list[Finding]:
    """Tell how the services and the cameras of the running site are."""
    if not serves:
        return [
            warn("site", "no site answers; what needs one was not looked at", "Start `dfip up`.")
        ]
    if isinstance(access, CommandFailed):
        return [fail("site", access.what, access.remedy)]
    async with connected(access) as channel:
        state = await read_status(channel, access)
    services = [
        Finding(
            check=service.name,
            verdict=_verdict(service.state),
            told=service.detail,
            remedy="" if service.state == "serving" else _remedy(service.state),
        )
        for service in state.services
    ]
    return [*services, *_cameras(state)]


def _cameras(state: SiteState) -> list[Finding]:
    running = [camera for camera in state.cameras if camera.desired_state == "running"]
    without = [c.name for c in running if c.runtime.failure_reason == "accelerator_unavailable"]
    ill = [
        c.name
        for c in running
        if c.runtime.health_status in {"degraded", "unhealthy"} and c.name not in without
    ]
    found: list[Finding] = []
    if without:
        found.append(
            warn(
                "accelerator used",
                f"asked for CUDA and got the CPU: {_some(without)}",
                "Give the machine a GPU, run `make setup-gpu`, or ask for `auto`.",
            )
        )
    if ill:
        found.append(
            warn("cameras", f"not healthy: {_some(ill)}", "`dfip camera list` says why, for each.")
        )
    if not found and running:
        found.append(ok("cameras", f"{len(running)} should run, and none is in trouble"))
    return found


def _verdict(state: str) -> Verdict:
    return {"serving": "ok", "closed": "warn"}.get(state, "fail")  # type: ignore[return-value]  # of the three words


def _remedy(state: str) -> str:
    if state == "closed":
        return "Use a token of a higher role to look at it."
    return "Look at its log below the data folder's logs."


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
