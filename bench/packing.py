"""What it costs to watch cameras in one process, and in a process each.

    python -m bench.packing [--pack ID] [--seconds S] [--full] [--rows CAMERAS/PER_WORKER ...]

Prints one JSON document. A whole mesh is run for each row; every camera plays a recording of
1280x720 with a face in it, sampled at 5 a second. After the cameras run, workers are left alone for
half of S seconds and measured over the other half. `rss_mb` counts what processes share once for
each of them, `pss_mb` divides it (Linux' smaps_rollup): the difference that packing makes is the
one of `pss_mb`. `healthy` is how many cameras say at the end that they keep up. Quick by default
(one and four cameras). Nothing is asserted.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from cli.demo.clip_maker import astronaut_photo, make_demo_clip
from face_engine.preparation import prepare_pack
from tests.support.media import media_root
from tests.support.mesh import Mesh, running_mesh, wait_until

_QUICK = ("1/1", "1/8", "4/1", "4/8")
_FULL = (*_QUICK, "8/1", "8/8")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.packing", description=__doc__)
    parser.add_argument("--pack", help="by default yunet-dlib where its files are, else builtin")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--full", action="store_true", help="eight cameras too")
    parser.add_argument("--rows", nargs="+", metavar="CAMERAS/PER_WORKER")
    asked = parser.parse_args()
    models = media_root() / "models"
    pack = asked.pack or ("yunet-dlib" if models.is_dir() else "builtin")
    prepare_pack(pack, folders=[models] if models.is_dir() else [])
    rows = asked.rows or (_FULL if asked.full else _QUICK)
    document: dict[str, object] = {
        "benchmark": "packing",
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "pack": pack,
        "rows": [_measure(row, pack, asked.seconds) for row in rows],
    }
    print(json.dumps(document, indent=2))


def _measure(row: str, pack: str, seconds: float) -> dict[str, Any]:
    cameras, per_worker = (int(part) for part in row.split("/"))
    folder = Path(tempfile.mkdtemp(prefix="pk-"))
    options = ("--pack", pack, "--cameras-per-worker", str(per_worker))
    try:
        with running_mesh(folder / "data", *options) as mesh:
            clip = mesh.media_root / "clip.mp4"
            make_demo_clip(astronaut_photo(), clip, seconds=20, size=(1280, 720))
            _watch(mesh, clip, cameras)
            time.sleep(seconds / 2)
            workers = mesh.processes()["vision_worker"]
            return {
                "cameras": cameras,
                "cameras_per_worker": per_worker,
                "processes": len(workers),
                **_cost(workers, seconds / 2),
                "healthy": _count(mesh, "health_status", "healthy"),
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(mesh: Mesh, clip: Path, cameras: int) -> None:
    with mesh.client() as rest:
        for number in range(cameras):
            made = rest.post(
                "/cameras", json={"name": f"c{number}", "connection_string": clip.as_uri()}
            )
            made.raise_for_status()
            camera_id = made.json()["data"]["id"]
            rest.patch(f"/cameras/{camera_id}/status", json={"status": "enabled"})
    wait_until(lambda: _count(mesh, "worker_status", "running") == cameras, 120, "all cameras run")


def _count(mesh: Mesh, field: str, value: str) -> int:
    """Return how many cameras say so of themselves."""
    with mesh.client() as rest:
        rows = rest.get("/cameras/runtime").json()["data"]
    return sum(row["runtime"].get(field) == value for row in rows)


def _cost(workers: Sequence[psutil.Process], seconds: float) -> dict[str, float]:
    before = sum(sum(process.cpu_times()[:2]) for process in workers)
    time.sleep(seconds)
    after = sum(sum(process.cpu_times()[:2]) for process in workers)
    memory = [process.memory_full_info() for process in workers]
    return {
        "rss_mb": round(sum(one.rss for one in memory) / 2**20, 1),
        "pss_mb": round(sum(one.pss for one in memory) / 2**20, 1),
        "cpu_cores": round((after - before) / seconds, 3),
        "threads": sum(process.num_threads() for process in workers),
    }


if __name__ == "__main__":
    main()
