"""Checks of the machine: its port, disk and clock, and the rights on what the site keeps there."""

import ctypes
import json
import os
import shutil
import stat
import sys
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cli.certificates.authority import CertificatesUnusable, standings
from cli.certificates.upkeep import LATE, days_left, ending
from cli.doctor.findings import Finding, fail, ok, warn
from cli.failures import CommandFailed
from cli.supervisor.site import listening_address

_GIB = 1 << 30
_LEAST_FREE = _GIB
_LITTLE_FREE = 5 * _GIB
_CLOCK_SLACK = timedelta(minutes=5)
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def check_port(host: str, port: int, *, serves: bool) -> Finding:
    """Tell whether the site can listen there; `serves`: a site answers there now."""
    if serves:
        return ok("port", f"a site of DFIP answers on {host}:{port}")
    try:
        listening_address(host, port)
    except CommandFailed as failure:
        return fail("port", failure.what, failure.remedy)
    return ok("port", f"{host}:{port} is free")


def check_disk(data_dir: Path) -> Finding:
    """Tell whether there is room for the database and the pictures."""
    there = data_dir.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    usage = shutil.disk_usage(there)
    free = f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.1f} on the disk of {there}"
    make_room = "Make room there, or name a folder on another disk with --data-dir."
    if usage.free < _LEAST_FREE:
        return fail("disk", free, make_room)
    if usage.free < _LITTLE_FREE:
        return warn("disk", free, make_room)
    return ok("disk", free)


def check_clock(data_dir: Path, now: datetime) -> Finding:
    """Tell whether the machine's clock can be right: tokens and sightings carry its time."""
    set_it = "Set the clock, and let a time service keep it (timedatectl set-ntp true)."
    newest = _newest_file(data_dir)
    if newest is not None and newest - now > _CLOCK_SLACK:
        return fail("clock", f"it says {now:%Y-%m-%d %H:%M:%S} UTC, but files are newer", set_it)
    if _is_synchronised() is False:
        return warn(
            "clock", f"no time service keeps it; it says {now:%Y-%m-%d %H:%M:%S} UTC", set_it
        )
    return ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def check_data_dir(data_dir: Path) -> Finding:
    """Tell whether the data folder can be used and is closed to others."""
    try:
        found = data_dir.stat()
    except FileNotFoundError:
        return ok("data folder", f"{data_dir} is not there yet; `dfip up` makes it")
    except OSError as error:
        return fail(
            "data folder",
            f"{data_dir} cannot be looked at ({error.strerror})",
            "Correct its rights.",
        )
    if not stat.S_ISDIR(found.st_mode):
        return fail("data folder", f"{data_dir} is a file", "Name a folder with --data-dir.")
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        return fail("data folder", f"{data_dir} cannot be written", "Correct its rights or owner.")
    return _closed_to_others("data folder", data_dir, found)


def check_token_file(token_file: Path, now: datetime) -> Finding:
    """Tell whether the administrator's token is there, closed to others, and still good."""
    try:
        found = token_file.stat()
        text = token_file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ok("token file", f"{token_file} is not there yet; `dfip up` makes it")
    except (OSError, ValueError):
        return fail("token file", f"{token_file} cannot be read", "Correct its rights.")
    claims = token_part(text, 1)
    if claims is None or not isinstance(claims.get("exp"), int | float):
        return fail("token file", f"{token_file} holds no token", "Remove it and start `dfip up`.")
    ends = datetime.fromtimestamp(claims["exp"], UTC)
    if ends <= now:
        return fail(
            "token file",
            f"the token in {token_file} has expired on {ends:%Y-%m-%d}",
            "Start `dfip up`, which renews it.",
        )
    return _closed_to_others("token file", token_file, found)


def check_certificates(folder: Path, now: datetime) -> Finding:
    """Tell whether the certificates of services on a network hold, those that are here."""
    try:
        here = [each for each in standings(folder) if each.expires_at is not None]
    except CertificatesUnusable:
        return ok("certificates", "none are here; services on this machine need none")
    renew = "`dfip certs renew` makes new ones, which running services take over."
    if ended := ending(here, timedelta(0), now=now):
        return fail("certificates", f"ended: {', '.join(ended)}", renew)
    soonest = min(days for each in here if (days := days_left(each, now=now)) is not None)
    if late := ending(here, LATE, now=now):
        return warn("certificates", f"{', '.join(late)} end within {soonest + 1} days", renew)
    return ok("certificates", f"{len(here)} in {folder}, the first ends in {soonest} days")


def token_part(token: str, number: int) -> dict[str, Any] | None:
    """Return a part of a JWT, unverified: 0 is the header, 1 the claims; None where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        value = json.loads(urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4)))
    except (ValueError, Base64Error):
        return None
    return value if isinstance(value, dict) else None


def _closed_to_others(check: str, path: Path, found: os.stat_result) -> Finding:
    mode = stat.S_IMODE(found.st_mode)
    own = "700" if stat.S_ISDIR(found.st_mode) else "600"
    if found.st_uid != os.getuid():
        return fail(
            check, f"{path} belongs to somebody else", f"Run as its owner, or chown {path}."
        )
    if mode & 0o077:
        return fail(check, f"others may use {path} (rights {mode:o})", f"chmod {own} {path}")
    return ok(check, f"{path}, for its owner alone")


def _newest_file(data_dir: Path) -> datetime | None:
    try:
        times = [entry.stat().st_mtime for entry in os.scandir(data_dir)]
    except OSError:
        return None
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _is_synchronised() -> bool | None:
    """Return whether the kernel knows of a time service; None where it does not say."""
    if sys.platform != "linux":
        return None
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    return None if state < 0 else bool(state != _TIME_ERROR)
