"""Checks of what the site runs: Envoy and its configuration, models, accelerator, database."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cli.doctor.findings import Finding, fail, ok, warn

_WITHIN_S = 30.0
_REINSTALL = "Set DFIP up again (make setup)."
_ROOMS = ("camera_manager", "control_plane", "identity_index")


async def check_envoy() -> Finding:
    """Tell whether Envoy runs here and takes the configuration that the contracts make."""
    from deploy.envoy.edge import EdgeSettings, envoy_command, write_edge

    with tempfile.TemporaryDirectory(prefix="dfip-doctor-") as folder:
        clusters = {room: f"unix:{folder}/{room}.sock" for room in _ROOMS}
        try:
            config = write_edge(
                Path(folder),
                EdgeSettings(
                    http_port=3001, clusters=clusters, jwks_file=Path(folder) / "jwks.json"
                ),
            )
            command = [*envoy_command(config), "--mode", "validate"]
            code, _, said = await _run(*command)
        except (OSError, TimeoutError, ValueError) as error:
            return fail("envoy", f"Envoy does not run ({type(error).__name__})", _REINSTALL)
        if code:
            told = said.strip().splitlines()[-1:] or ["it says nothing"]
            return fail("envoy", f"Envoy refuses the configuration: {told[0][:300]}", _REINSTALL)
        _, version, _ = await _run(command[0], "--version")
    number = next((part for part in version.split("/") if part.count(".") == 2), "")
    return ok("envoy", f"Envoy {number} takes the configuration")


def check_models(pack_id: str) -> Finding:
    """Tell whether the pack's models, or the files they are made from, are the pinned ones."""
    from face_engine.errors import PackError, PackUnknown
    from face_engine.model_files import cache_root, model_dirs, pack_folder, read_source
    from face_engine.packs import resolve_pack
    from face_engine.preparation import is_prepared, load_models, prepare_pack

    try:
        pack = resolve_pack(pack_id)
        folder = pack_folder(pack, cache_root())
        if pack.is_quantized:
            prepare_pack(pack_id)  # makes nothing of such a pack, but says how to get it
        if folder.exists() and not is_prepared(pack_id):
            return warn(
                "models",
                f"models of pack {pack_id} in {folder} are damaged",
                "`dfip up` makes them again.",
            )
        if folder.exists():
            return ok("models", f"{len(load_models(pack))} models of {pack_id} have their digests")
        for file in pack.files:
            read_source(file.source, folders=model_dirs(), cache=cache_root())
    except PackUnknown as error:
        return fail("models", str(error), "Name another pack with --pack.")
    except PackError as error:
        told, _, remedy = str(error).partition("; ")
        return fail("models", told, remedy or _REINSTALL)
    return ok(
        "models", f"the files of pack {pack_id} have their digests; `dfip up` makes the models"
    )


def check_accelerator() -> Finding:
    """Tell what ONNX Runtime can run on, on this machine."""
    from onnxruntime import get_available_providers

    providers = set(get_available_providers())
    has_card = Path("/dev/nvidia0").exists()
    if "CUDAExecutionProvider" in providers and has_card:
        if find_spec("nvidia.dali" if find_spec("nvidia") else "nvidia") is None:
            return warn(
                "accelerator",
                "CUDA is there for the models, but the CPU decodes: NVIDIA DALI is missing",
                "Run `make setup-gpu`.",
            )
        return ok("accelerator", "CUDA is there; a camera that asks for nothing uses it")
    if has_card:
        return warn(
            "accelerator",
            "there is a GPU, but this ONNX Runtime works on the CPU alone",
            "Run `make setup-gpu`: it puts onnxruntime-gpu in the place of onnxruntime.",
        )
    return ok("accelerator", "CPU; a camera that asks for CUDA would run degraded")


async def check_database(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Finding:
    """Tell whether the database can be reached and is of this version; its owner looks itself."""
    try:
        code, answer, _ = await _run(
            *(sys.executable, "-m", "control_plane.database_check"),
            environ={**environ, "DFIP_DATA_DIR": str(data_dir), "PYTHONSAFEPATH": "1"},
        )
        found: dict[str, Any] = json.loads(answer) if code == 0 else {}
    except (OSError, TimeoutError, ValueError):
        found = {}
    engine, revision = found.get("engine", "the database"), found.get("revision", "")
    match found.get("state"):
        case "ok":
            return ok("database", f"{engine} is reachable, schema {revision}")
        case "older":
            told = f"{engine} has schema {revision}; `dfip up` brings it to {found['head']}"
            return warn("database", told, "Make a copy before the next start.")
        case "foreign":
            return fail(
                "database",
                f"{engine} was written by another version of dfip (schema {revision})",
                "Use that version, or another database.",
            )
        case "absent" | "empty":
            return ok("database", f"{engine} is empty; `dfip up` makes the schema")
        case "misnamed":
            return fail(
                "database",
                "DFIP_DATABASE_URL is no address",
                "Write it as postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE.",
            )
    where = "DFIP_DATABASE_URL" if environ.get("DFIP_DATABASE_URL") else str(data_dir)
    return fail(
        "database",
        f"{engine} cannot be reached",
        f"Check that it runs, its rights and the disk ({where}), or restore it from a backup.",
    )


async def _run(*command: str, environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a program to its end; return its code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")
