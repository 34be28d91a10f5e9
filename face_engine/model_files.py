"""Finds the files that a pack is made from, and the folder where prepared packs are kept.

A source file is looked for in DFIP_MODEL_DIR (read-only; several folders are separated as in PATH),
then inside the pinned package that ships it (found, never imported), then in the cache's folder
`sources`. It must have the pinned digest wherever it is found. `preparation.py` converts it.
"""

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from face_engine.errors import PackFileCorrupt, PackNotPrepared
from face_engine.packs import ModelPack, SourceFile

_MAX_SOURCE_BYTES = 256 * 1024 * 1024


def cache_root() -> Path:
    """Return the folder of this user's model cache, whether or not it exists."""
    if own := os.environ.get("DFIP_CACHE_DIR"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "dfip"
    return Path.home() / ".cache" / "dfip"


def model_dirs() -> tuple[Path, ...]:
    """Return the folders of DFIP_MODEL_DIR in order."""
    named = os.environ.get("DFIP_MODEL_DIR", "")
    return tuple(Path(part) for part in named.split(os.pathsep) if part)


def pack_folder(pack: ModelPack, cache: Path) -> Path:
    """Return the folder of one prepared pack, whether or not it exists."""
    return cache / "packs" / f"{pack.pack_id}-{pack.digest}"


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of `data` as hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_source(source: SourceFile, *, folders: Sequence[Path], cache: Path) -> bytes:
    """Return the content of a source file.

    Raises:
        PackNotPrepared: the file is nowhere; the sentence says where to put it.
        PackFileCorrupt: the file found is not the pinned one, or cannot be read.
    """
    for path in _places(source, folders, cache):
        if not path.is_file():
            continue
        try:
            if path.stat().st_size > _MAX_SOURCE_BYTES:
                raise PackFileCorrupt(f"The model file {path} is too large; replace it.")
            data = path.read_bytes()
        except OSError as error:
            raise PackFileCorrupt(
                f"The model file {path} cannot be read ({error.strerror}); correct its rights."
            ) from error
        if digest_of(data) != source.sha256:
            raise PackFileCorrupt(
                f"The model file {path} is not the pinned one (its SHA-256 is not "
                f"{source.sha256}); replace it by the one of {source.origin}."
            )
        return data
    raise PackNotPrepared(_missing(source, cache))


def _places(source: SourceFile, folders: Sequence[Path], cache: Path) -> list[Path]:
    places = [folder / source.name for folder in folders]
    if source.package is not None:
        # For a top-level package this looks the folder up without running any of its code.
        found = importlib.util.find_spec(source.package)
        locations = (found.submodule_search_locations or []) if found else []
        places += [Path(location) / source.folder / source.name for location in locations]
    places.append(cache / "sources" / source.name)
    return places


def _missing(source: SourceFile, cache: Path) -> str:
    if source.package is not None:
        return f"The model file {source.name} is missing; install {source.origin} again."
    return (
        f"The model file {source.name} ({source.origin}, SHA-256 {source.sha256}) is missing; "
        f"put it into a folder named by DFIP_MODEL_DIR or into {cache / 'sources'}."
    )
