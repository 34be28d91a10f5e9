"""Where the command keeps and finds things: the site's data folder, the cache, the admin token.

Pure functions of the environment, so that `dfip up` and the client commands agree without asking
each other. They only name places; nothing here is created.
"""

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_PORT = 3001
DEFAULT_SERVER = f"http://127.0.0.1:{DEFAULT_PORT}"
ADMIN_TOKEN = "admin.token"  # noqa: S105 - the name of a file, not what is in it


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return DFIP_DATA_DIR, else `dfip` in the user's data folder (XDG base directories)."""
    if own := environ.get("DFIP_DATA_DIR"):
        return Path(own)
    if shared := environ.get("XDG_DATA_HOME"):
        return Path(shared) / "dfip"
    return Path.home() / ".local" / "share" / "dfip"


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return DFIP_CACHE_DIR, else `dfip` in the user's cache folder (XDG base directories)."""
    if own := environ.get("DFIP_CACHE_DIR"):
        return Path(own)
    if shared := environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "dfip"
    return Path.home() / ".cache" / "dfip"


def certificates_dir(data_dir: Path) -> Path:
    """Return where `dfip certs` keeps the certificates of a site."""
    return data_dir / "certs"
