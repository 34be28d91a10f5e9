"""What watching cameras costs: the real mesh on real RTSP, beside the loops that people write.

    python -m bench.worker [--cameras N] [--minutes N | --seconds N] [--sample-fps N]
                           [--peers KIND…] [--peers-only] [--media FOLDER]

Prints one JSON document, and how far it is on standard error. A labelled 1080p25 H.264 clip with
people in view (`clip` says who and when) is sent by GStreamer's RTSP server, to each camera from
another place on. `dfip up` watches it: all cameras in one worker process, the pack `yunet-dlib`,
some of the people enrolled, SQLite. `cores_a_camera` is the processor time of the worker by the
time that a camera was watched; decoding, the RTSP server, the control plane and the rest are told
apart. Latency is from the frame that led to a sighting's first report to its row in the database.

Then the peers of `bench/peers` look at the same clip at the same rate, one after the other, each
alone: the OpenCV loops from the same server for as long as one camera's worker, the dlib loop from
the recording, since it is too slow for a camera. `ratio` compares their processor time with the
worker's, `recall` who was found. Without
media nothing is measured and the exit status is 2. Nothing is asserted.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from bench.sites.labelled_clip import ENROLLED, FPS, LabelledClip, labelled_clip
from bench.sites.process_cpu import cpu_s, resident_mb, thread_cpu_s
from bench.sites.recall import Named, recall
from bench.sites.worker_mesh import Site, playing, running_site
from face_engine.engine import open_engine
from face_engine.packs import PackError
from face_engine.preparation import prepare_pack
from tests.cameras.gstreamer import missing
from tests.support.media import media_root

PACK = "yunet-dlib"
NO_MEDIA = 2
_SETTLE_S = 8.0
_EVERY_S = 1.0
_PEERS = {"opencv": "cv2", "opencv-640": "cv2", "dlib": "face_recognition"}
_LIVE_PEERS = ("opencv", "opencv-640")
_LONGEST_PEER_S = 120.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__)
    parser.add_argument("--cameras", type=int, default=1, help="default 1")
    parser.add_argument("--minutes", type=float, help="how long to watch")
    parser.add_argument("--seconds", type=float, default=60.0, help="the same (default 60)")
    parser.add_argument("--sample-fps", type=float, default=5.0, help="default 5")
    parser.add_argument("--peers", nargs="*", choices=_PEERS, default=list(_PEERS))
    parser.add_argument("--peers-only", action="store_true", help="leave the worker out")
    parser.add_argument("--media", type=Path, default=media_root(), help="folder of the test media")
    asked = parser.parse_args()
    asked.seconds = asked.minutes * 60 if asked.minutes else asked.seconds
    if (what_to_do := missing()) is not None and not asked.peers_only:
        print(f"not run: {what_to_do}", file=sys.stderr)
        return NO_MEDIA
    try:
        pack = prepare_pack(PACK, folders=[asked.media / "models"])
        with open_engine(PACK, accelerator="cpu") as engine:
            clip = labelled_clip(asked.media, engine)
    except (OSError, PackError) as error:
        print(f"not run: {error}; name the media with --media", file=sys.stderr)
        return NO_MEDIA
    document = uvloop.run(measure(asked, clip, pack.folder))
    print(json.dumps(document, indent=2))
    return 0


async def measure(asked: argparse.Namespace, clip: LabelledClip, models: Path) -> dict[str, object]:
    """Run everything and return the document."""
    document: dict[str, object] = {
        "benchmark": "worker",
        "cores": os.cpu_count(),
        "load_before": os.getloadavg(),
        "pack": PACK,
        "sample_fps": asked.sample_fps,
        "clip": clip.describe(),
    }
    worker: dict[str, Any] | None = None
    if not asked.peers_only:
        with tempfile.TemporaryDirectory(prefix="dfip-") as name:
            worker = await watch(asked, clip, Path(name))
        document["worker"] = worker
    peers = {kind: await run_peer(kind, asked, clip, models) for kind in asked.peers}
    document["peers"] = peers
    if worker is not None:
        document["ratio"] = {
            f"{kind}_to_worker": round(told["cores_a_camera"] / worker["cores_a_camera"], 2)
            for kind, told in peers.items()
            if "cores_a_camera" in told
        }
    return document


async def watch(asked: argparse.Namespace, clip: LabelledClip, folder: Path) -> dict[str, Any]:
    """Watch the clip with the mesh."""
    photos = {
        person: [asked.media / "data" / photo for photo in photos]
        for person, photos in ENROLLED.items()
    }
    async with running_site(
        folder,
        clip=clip,
        cameras=asked.cameras,
        pack=PACK,
        sample_fps=asked.sample_fps,
        photos=photos,
    ) as site:
        say(f"{asked.cameras} cameras run; settling for {_SETTLE_S:.0f} s")
        await asyncio.sleep(_SETTLE_S)
        return await observe(asked, clip, site)


async def observe(asked: argparse.Namespace, clip: LabelledClip, site: Site) -> dict[str, Any]:
    """Measure for as long as was asked for."""
    groups = site.processes()
    before = {name: cpu_s(group) for name, group in groups.items()}
    threads_before = thread_cpu_s(groups["vision_worker"])
    work_before = await site.work()
    phases = site.phases()
    began, began_wall = time.perf_counter(), time.time()
    memory: list[float] = []
    states: Counter[str] = Counter()
    told_s = 0.0
    while (passed := time.perf_counter() - began) < asked.seconds:
        memory.append(resident_mb(groups["vision_worker"]))
        states.update(await site.states())
        site.note_sightings()
        if passed - told_s >= 15:
            told_s = passed
            say(f"{passed:.0f} of {asked.seconds:.0f} s, {memory[-1]:.0f} MiB, {dict(states)}")
        await asyncio.sleep(_EVERY_S)
    seconds = time.perf_counter() - began
    spent = {name: cpu_s(group) - before[name] for name, group in groups.items()}
    threads = thread_cpu_s(groups["vision_worker"])
    work = await site.work()
    site.note_sightings()
    again = {name: {one.pid for one in group} for name, group in site.processes().items()}
    same = all({one.pid for one in group} == again[name] for name, group in groups.items())
    camera_s = seconds * asked.cameras
    wanted = ("decode", "relay", "inference")
    by_thread = {
        name: (threads.get(name, 0.0) - threads_before.get(name, 0.0)) / camera_s for name in wanted
    }
    found = [
        recall(
            clip.visits,
            site.named(camera, since=began_wall, phase_s=phase),
            length_s=clip.length_s,
            begin_s=phase,
            end_s=phase + seconds - 2.0,  # a name takes a moment
        )
        for camera, phase in phases.items()
    ]
    each = max(1, len(memory) // 10)
    latencies = site.latencies(since=began_wall)
    return {
        "cameras": asked.cameras,
        "seconds": round(seconds, 1),
        "processes_lived_on": same,
        "cores_a_camera": round(spent["vision_worker"] / camera_s, 4),
        "of_that": {name: round(share, 4) for name, share in by_thread.items()},
        "other_cores": {
            name: round(value / seconds, 4)
            for name, value in spent.items()
            if name != "vision_worker"
        },
        "fps_a_camera": round(
            (work["frames_sampled"] - work_before["frames_sampled"]) / camera_s, 2
        ),
        "frames_dropped": work["frames_dropped"] - work_before["frames_dropped"],
        "embeddings": work["embeddings"] - work_before["embeddings"],
        "states": dict(states),
        "resident_mb": {
            "first_tenth": round(statistics.mean(memory[:each]), 1),
            "last_tenth": round(statistics.mean(memory[-each:]), 1),
            "most": round(max(memory), 1),
        },
        "frame_to_database_ms": percentiles(latencies),
        "sightings": len(latencies),
        "recall": {
            "visits": sum(one.visits for one in found),
            "found": sum(one.found for one in found),
            "recall": round(
                sum(one.found for one in found) / max(1, sum(one.visits for one in found)), 3
            ),
            "names": sum(one.names for one in found),
            "wrong_names": sum(one.wrong for one in found),
        },
    }


def percentiles(latencies_s: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile in milliseconds."""
    if not latencies_s:
        return {}
    p50, p95 = np.percentile(np.array(latencies_s) * 1e3, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}


async def run_peer(
    kind: str, asked: argparse.Namespace, clip: LabelledClip, models: Path
) -> dict[str, Any]:
    """Run a loop over the clip."""
    if importlib.util.find_spec(_PEERS[kind]) is None:
        return {"not_run": f"{_PEERS[kind]} is not installed; `make bench` installs it"}
    say(f"the {kind} loop")
    enrolled = [
        f"{asked.media / 'data' / photo}={person}"
        for person, photos in ENROLLED.items()
        for photo in photos
    ]
    rest = [
        *("--fps", str(asked.sample_fps), "--enrolled", *enrolled),
        *("--detector", str(models / "yunet.onnx")),
        *("--embedder", str(models / "dlib_resnet.onnx")),
    ]
    begin_s, end_s = 0.0, clip.length_s
    if kind in _LIVE_PEERS:
        seconds = max(clip.length_s, min(asked.seconds, _LONGEST_PEER_S))
        with tempfile.TemporaryDirectory(prefix="dfip-") as name:
            async with playing(clip, Path(name)) as (server, url):
                told = await _output_of(kind, url, *rest, "--seconds", str(seconds))
                at, sent = time.time(), server.sent("camera")
        if told is not None:
            begin_s = sent / FPS - (at - told["first_frame_at"])
            end_s = begin_s + told["seconds"]
    else:
        told = await _output_of(kind, str(clip.path), *rest)
    if told is None:
        return {"not_run": "it ended with an error"}
    named = [
        Named(person=name, begin_s=begin_s + at_s, end_s=begin_s + at_s)
        for at_s, name in told["named"]
    ]
    found = recall(clip.visits, named, length_s=clip.length_s, begin_s=begin_s, end_s=end_s)
    return {
        "source": "camera" if kind in _LIVE_PEERS else "recording",
        "cores_a_camera": round(told["cpu_s"] / told["seconds"], 4),
        "seconds_a_camera_second": round(told["wall_s"] / told["seconds"], 3),
        "frames_looked_at": told["frames_looked_at"],
        "faces": told["faces"],
        "recall": found.describe(),
    }


async def _output_of(kind: str, source: str, *rest: str) -> dict[str, Any] | None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.peers.plain_worker", kind, source, *rest),
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate()
    told: dict[str, Any] | None = None if process.returncode else json.loads(answer)
    return told


def say(words: str) -> None:
    """Tell how far it is."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
