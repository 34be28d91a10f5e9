"""Whether the worker names who is seen badly first and well once, and never names a stranger.

    python -m bench.best_shot [--pack ID]... [--full] [--media FOLDER] [--pictures FOLDER]

Prints one JSON document. Clips are painted from photographs of people of whom other photographs are
enrolled: far away, blurred, turned aside, dark, half covered, passing through a room, and good to
see for a second. Strangers are painted the same way with their person left out of the gallery, and
a recording of a concert is watched with everybody enrolled. `right` counts clips in which the right
person and nobody else was named, `named` of the strangers those in which anybody was. Who never
shows a face that could be compared has to be one unknown sighting all the same: `unseen` counts
those clips without any. FOLDER of the
media holds `data/` and `models/` (by default DFIP_TEST_MEDIA, else ../shared). Quick by default
(half of the clips); with --pictures the labelled clips and a sheet of each are left there to look
at. Nothing is asserted.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from face_engine.engine import FaceEngine, open_engine
from face_engine.packs import PackError
from face_engine.pictures import encode_jpeg
from face_engine.preparation import prepare_pack
from tests.support.looks.portraits import everybody, read_portraits
from tests.support.looks.scenes import paint
from tests.support.looks.watching import (
    LabelledClip,
    Outcome,
    labelled_clips,
    never_seen_well,
    strangers,
    try_clip,
    watch_clip,
    write_labelled,
)
from tests.support.media import media_root

PACK = "yunet-dlib"
_SHEET_COLUMNS = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.best_shot", description=__doc__)
    parser.add_argument(
        "--pack", action="append", help=f"by default {PACK}; may be given several times"
    )
    parser.add_argument("--full", action="store_true", help="every clip, not every second one")
    parser.add_argument("--media", type=Path, default=media_root(), help="folder of the test media")
    parser.add_argument("--pictures", type=Path, help="leave the labelled clips in this folder")
    asked = parser.parse_args()
    document: dict[str, object] = {"benchmark": "best_shot", "cores": os.cpu_count()}
    if not (asked.media / "data").is_dir():
        document["not_run"] = f"there are no test media in {asked.media}; name them with --media"
        print(json.dumps(document, indent=2))
        return
    packs = [measure_pack(pack, asked) for pack in asked.pack or [PACK]]
    print(json.dumps(document | {"packs": packs}, indent=2))


def measure_pack(pack_id: str, asked: argparse.Namespace) -> dict[str, object]:
    """Run the clips with one pack."""
    try:
        prepare_pack(pack_id, folders=[asked.media / "models"])
    except PackError as error:
        return {"pack": pack_id, "not_run": str(error)}
    with open_engine(pack_id, accelerator="cpu") as engine:
        portraits = read_portraits(engine, asked.media / "data")
        step = 1 if asked.full else 2
        known, unknown, never = (
            make(portraits)[::step] for make in (labelled_clips, strangers, never_seen_well)
        )
        if asked.pictures is not None:
            for clip in (*known, *unknown, *never):
                show(clip, asked.pictures)
        began = time.perf_counter()
        named, strange, poor = (
            [asyncio.run(_said(engine, clip)) for clip in clips]
            for clips in (known, unknown, never)
        )
        concert = asyncio.run(
            watch_clip(engine, asked.media / "data" / "stage_clip.mp4", everybody(portraits))
        )
        seconds = time.perf_counter() - began
    last = {draft.id: draft for draft in concert}.values()
    return {
        "pack": pack_id,
        "known": count_known(named),
        "strangers": count_strangers(strange),
        "never_seen_well": {
            "clips": len(poor),
            "named": sum(not one.right for one in poor),
            "unseen": sum(not one.sightings for one in poor),
            "sightings": sum(len(one.sightings) for one in poor),
        },
        "concert": {
            "sightings": len(last),
            "named": sum(draft.decision.decision == "match" for draft in last),
            "review": sum(draft.decision.decision == "review" for draft in last),
        },
        "seconds": round(seconds, 1),
    }


async def _said(engine: FaceEngine, clip: LabelledClip) -> Outcome:
    outcome = await try_clip(engine, clip)
    print("." if outcome.right else "x", end="", file=sys.stderr, flush=True)
    return outcome


def count_known(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Count clips and sightings of people who are enrolled."""
    sightings = [(one.clip.expected, seen) for one in outcomes for seen in one.sightings]
    said = [
        (expected, seen.decision.decision, seen.decision.person_id) for expected, seen in sightings
    ]
    return {
        "clips": len(outcomes),
        "right": sum(one.right for one in outcomes),
        "sightings": len(sightings),
        "naming_the_right_person": sum(
            decision == "match" and person == expected for expected, decision, person in said
        ),
        "naming_another": sum(
            decision == "match" and person != expected for expected, decision, person in said
        ),
        "review": sum(decision == "review" for _, decision, _ in said),
        "unknown": sum(decision == "unknown" for _, decision, _ in said),
        "first_report_s": {"longest": max((one.first_report_s for one in outcomes), default=0.0)},
        "not_right": [one.clip.name for one in outcomes if not one.right],
    }


def count_strangers(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Count clips and sightings of people who are not enrolled."""
    sightings = [seen for one in outcomes for seen in one.sightings]
    scores = [seen.decision.score for seen in sightings if seen.decision.score is not None]
    return {
        "clips": len(outcomes),
        "named": sum(not one.right for one in outcomes),
        "sightings": len(sightings),
        "review": sum(seen.decision.decision == "review" for seen in sightings),
        "highest_score": round(max(scores, default=0.0), 3),
    }


def show(clip: LabelledClip, folder: Path) -> None:
    """Leave a clip and a sheet of every second of its frames in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    name = clip.name.replace(", ", "_").replace(" ", "_")
    write_labelled(clip, folder / f"{name}.mp4")
    small = [
        np.asarray(cv2.resize(frame, None, fx=0.5, fy=0.5), np.uint8)
        for frame in list(paint(clip.portrait, clip.story, seed=clip.seed))[::2]
    ]
    small += [np.zeros_like(small[0])] * (-len(small) % _SHEET_COLUMNS)
    rows = [
        np.concatenate(small[at : at + _SHEET_COLUMNS], axis=1)
        for at in range(0, len(small), _SHEET_COLUMNS)
    ]
    (folder / f"{name}.jpg").write_bytes(encode_jpeg(np.concatenate(rows), 80))


if __name__ == "__main__":
    main()
