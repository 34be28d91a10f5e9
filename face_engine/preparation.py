"""Makes the ONNX models of a pack once, and hands their checked bytes to whoever loads them.

The result is a folder in the user's cache that appears by one rename, with a `manifest.json` that
records the digest of every model. Two processes that prepare the same pack at once do it once: the
second waits at a lock file. A damaged or half-removed folder is made again.
`model_files.py` finds what goes in, `converters/` turn it around, `engine.py` loads what comes out.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from face_engine.errors import PackFileCorrupt, PackNotPrepared, PackUnknown
from face_engine.model_files import cache_root, digest_of, model_dirs, pack_folder, read_source
from face_engine.packs import Conversion, ModelPack, resolve_pack

_MANIFEST = "manifest.json"

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction done, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPack:
    """A pack whose models lie in `folder`, each under the name its manifest gives it."""

    pack: ModelPack
    folder: Path


def _ignore_progress(step: str, fraction: float) -> None:
    """Show nothing."""


def prepare_pack(
    pack_id: str,
    *,
    progress: Progress = _ignore_progress,
    folders: Sequence[Path] | None = None,
    cache: Path | None = None,
) -> PreparedPack:
    """Make a pack's models unless they are there and whole; safe to call from many processes.

    Args:
        pack_id: one of `known_packs()`.
        progress: told after each step.
        folders: where to look for source files first; by default those of DFIP_MODEL_DIR.
        cache: where packs are kept; by default `cache_root()`.

    Raises:
        PackUnknown: no pack has this name.
        PackNotPrepared: a source file is missing, or the cache cannot be written.
        PackFileCorrupt: a source file is damaged.
    """
    pack = resolve_pack(pack_id)
    cache = cache or cache_root()
    folder = pack_folder(pack, cache)
    if not _is_whole(pack, folder):
        if pack.is_quantized:
            raise PackNotPrepared(
                f"The quantised model pack {pack_id} is not on this machine; make one with "
                f"`dfip models quantize`, or copy the folder {folder.name} to {folder.parent}."
            )
        try:
            with _only_one(folder):
                if not _is_whole(pack, folder):
                    _make(pack, folder, progress, model_dirs() if folders is None else folders)
        except OSError as error:
            raise _unwritable(pack_id, cache, error) from error
    progress("ready", 1.0)
    return PreparedPack(pack=pack, folder=folder)


def is_prepared(pack_id: str, *, cache: Path | None = None) -> bool:
    """Tell whether a pack's models are there and whole.

    Raises:
        PackUnknown: no pack has this name.
    """
    pack = resolve_pack(pack_id)
    return _is_whole(pack, pack_folder(pack, cache or cache_root()))


def load_models(pack: ModelPack, *, cache: Path | None = None) -> dict[str, bytes]:
    """Return the checked content of each of the pack's models by its file name.

    Raises:
        PackNotPrepared: the pack has not been prepared here.
        PackFileCorrupt: a model does not have the digest recorded when it was made.
    """
    folder = pack_folder(pack, cache or cache_root())
    digests = _recorded_digests(pack, folder)
    models: dict[str, bytes] = {}
    for file in pack.files:
        try:
            data = (folder / file.name).read_bytes()
        except OSError:
            data = b""
        digest = digest_of(data)
        if digest != digests.get(file.name) or not digest.startswith(file.digest):
            raise PackFileCorrupt(
                f"The model {file.name} of pack {pack.pack_id} is damaged; "
                f"prepare the pack again, or delete {folder} and start again."
            )
        models[file.name] = data
    return models


def _recorded_digests(pack: ModelPack, folder: Path) -> Mapping[str, object]:
    try:
        recorded = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise PackNotPrepared(
            f"The model pack {pack.pack_id} is not prepared on this machine; prepare it first."
        ) from None
    models = recorded.get("models") if isinstance(recorded, dict) else None
    return models if isinstance(models, dict) else {}


def _is_whole(pack: ModelPack, folder: Path) -> bool:
    try:
        digests = _recorded_digests(pack, folder)
    except PackNotPrepared:
        return False
    try:
        return all(
            digest_of((folder / file.name).read_bytes()) == digests.get(file.name)
            and str(digests.get(file.name)).startswith(file.digest)
            for file in pack.files
        )
    except OSError:
        return False


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time through; the lock goes with the process that holds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_variant(
    pack: ModelPack,
    models: Mapping[str, bytes],
    *,
    measured: Mapping[str, object],
    cache: Path | None = None,
) -> PreparedPack:
    """Keep the models of a quantised variant, with what was measured of it.

    Raises:
        PackNotPrepared: the cache cannot be written.
    """
    cache = cache or cache_root()
    folder = pack_folder(pack, cache)
    try:
        with _only_one(folder):
            _install(pack, folder, models, more={"measured": measured})
    except OSError as error:
        raise _unwritable(pack.pack_id, cache, error) from error
    return PreparedPack(pack=pack, folder=folder)


def prepared_variants(*, cache: Path | None = None) -> list[tuple[PreparedPack, dict[str, object]]]:
    """Return every whole variant of this machine, with what was measured when it was made."""
    found: list[tuple[PreparedPack, dict[str, object]]] = []
    cache = cache or cache_root()
    for manifest in sorted(cache.glob(f"packs/*/{_MANIFEST}")):
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
            pack = resolve_pack(str(content["pack_id"]))
            measured = dict(content["measured"])
        except (OSError, ValueError, KeyError, TypeError, PackUnknown):
            continue  # not a variant, or nothing that can be used
        if manifest.parent == pack_folder(pack, cache) and _is_whole(pack, manifest.parent):
            found.append((PreparedPack(pack=pack, folder=manifest.parent), measured))
    return found


def _unwritable(pack_id: str, cache: Path, error: OSError) -> PackNotPrepared:
    return PackNotPrepared(
        f"The model pack {pack_id} cannot be written to {cache} ({error.strerror}); "
        "make room there or name another folder in DFIP_CACHE_DIR."
    )


def _make(pack: ModelPack, folder: Path, progress: Progress, folders: Sequence[Path]) -> None:
    convert = _converters()
    models: dict[str, bytes] = {}
    for done, file in enumerate(pack.files):
        progress(f"converting {file.source.name}", done / len(pack.files))
        source = read_source(file.source, folders=folders, cache=folder.parent.parent)
        models[file.name] = convert[file.conversion](source, file.source.name)
    _install(pack, folder, models, more={})


def _install(
    pack: ModelPack, folder: Path, models: Mapping[str, bytes], *, more: Mapping[str, object]
) -> None:
    """Write a pack's folder, which appears whole; call it within `_only_one`."""
    for abandoned in folder.parent.glob(f"{folder.name}.*.part"):
        shutil.rmtree(abandoned, ignore_errors=True)  # of a process that was killed
    unfinished = Path(tempfile.mkdtemp(".part", f"{folder.name}.", folder.parent))
    try:
        for name, model in models.items():
            _write_durably(unfinished / name, model)
        content = {
            "pack_id": pack.pack_id,
            "digest": pack.digest,
            "models": {name: digest_of(model) for name, model in models.items()},
            "sources": {
                file.source.name: {
                    "sha256": file.source.sha256,
                    "licence": file.source.licence,
                    "origin": file.source.origin,
                }
                for file in pack.files
            },
            **more,
        }
        _write_durably(unfinished / _MANIFEST, json.dumps(content, indent=2).encode())
        unfinished.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)  # found damaged, or to be made again; the lock keeps others away
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _converters() -> dict[Conversion, Callable[[bytes, str], bytes]]:
    # Loading onnx takes 0.2 s and 40 MB, which a process with a prepared pack need not spend.
    from face_engine.converters.dlib_onnx import convert_dlib_resnet  # noqa: PLC0415
    from face_engine.converters.mtcnn_onnx import (  # noqa: PLC0415
        convert_onet,
        convert_pnet,
        convert_rnet,
    )
    from face_engine.converters.yunet_dynamic import free_yunet  # noqa: PLC0415

    return {
        "mtcnn_p": convert_pnet,
        "mtcnn_r": convert_rnet,
        "mtcnn_o": convert_onet,
        "dlib_resnet": convert_dlib_resnet,
        "yunet": free_yunet,
    }
