"""Runs labelled clips through the worker's own pipeline, and counts who was named.

The models, the decoding, the tracks and the decision are the worker's, the search is the index's;
only the line between the two is left out, and nobody waits for the clip's own time to pass.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from identity_index.faiss_gallery import FlatGallery, GalleryFace
from service_runtime.secret import Secret
from tests.support.clips import write_clip
from tests.support.inference import inference_with
from tests.support.looks.portraits import (
    ASTRONAUT,
    BYSTANDER,
    Portrait,
    everybody,
    gallery_without,
)
from tests.support.looks.scenes import FPS, STORIES, UNSEEN, Story, paint
from tests.support.thread_clocks import RushingClock
from tests.support.virtual_clock import VirtualClock
from vision_worker.pipeline import CameraPipeline, PipelineSettings
from vision_worker.sightings.decision import Candidate
from vision_worker.sightings.sighting import SightingDraft
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy

_EVERY_FRAME = 10_000
_CANDIDATES = 5

Gallery = Mapping[str, Sequence[NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledClip:
    """A clip of one person and what it has to be taken for.

    Attributes:
        name: says what is in it.
        portrait: of whom it is painted.
        story: how the person is seen.
        seed: of the room, the side and the noise.
        expected: who is to be named; None for a stranger.
        gallery: embeddings by person of everybody who is enrolled.
    """

    name: str
    portrait: Portrait
    story: Story
    seed: int
    expected: str | None
    gallery: Gallery


def labelled_clips(portraits: Sequence[Portrait], *, seed: int = 0) -> list[LabelledClip]:
    """Return a clip of every story for every photograph of those who have another one enrolled."""
    known = [p for p in portraits if p.person not in {ASTRONAUT, BYSTANDER}]
    return [
        LabelledClip(
            name=f"{portrait.person} of {portrait.photo}, {story}",
            portrait=portrait,
            story=story,
            seed=seed + number,
            expected=portrait.person,
            gallery=gallery_without(portraits, photo=portrait.photo),
        )
        for number, (story, portrait) in enumerate(
            (story, portrait) for story in STORIES for portrait in known
        )
    ]


def strangers(portraits: Sequence[Portrait], *, seed: int = 1000) -> list[LabelledClip]:
    """Return a clip of every story for every photograph, its person not enrolled at all."""
    return [
        LabelledClip(
            name=f"stranger {portrait.person} of {portrait.photo}, {story}",
            portrait=portrait,
            story=story,
            seed=seed + number,
            expected=None,
            gallery=gallery_without(portraits, photo=portrait.photo, person=portrait.person),
        )
        for number, (story, portrait) in enumerate(
            (story, portrait) for story in STORIES for portrait in portraits
        )
    ]


def never_seen_well(portraits: Sequence[Portrait], *, seed: int = 2000) -> list[LabelledClip]:
    """Return clips of people who are enrolled, and who show nothing that can be compared."""
    known = [p for p in portraits if p.person not in {ASTRONAUT, BYSTANDER}]
    return [
        LabelledClip(
            name=f"{portrait.person} of {portrait.photo}, {story}",
            portrait=portrait,
            story=story,
            seed=seed + number,
            expected=None,
            gallery=everybody(portraits),
        )
        for number, (story, portrait) in enumerate(
            (story, portrait) for story in UNSEEN for portrait in known
        )
    ]


def write_labelled(clip: LabelledClip, path: Path) -> Path:
    """Write the clip as H.264."""
    return write_clip(
        path, paint(clip.portrait, clip.story, seed=clip.seed), fps=FPS, key_every=FPS
    )


class InProcessIndex:
    """The index's own search, without the line to it."""

    def __init__(self, gallery: Gallery, dimension: int) -> None:
        self._gallery = FlatGallery(dimension)
        self._gallery.put(
            [
                GalleryFace(face_id=f"{person}-{at}", person_id=person, embedding=embedding)
                for person, embeddings in gallery.items()
                for at, embedding in enumerate(embeddings)
            ]
        )

    async def identify(self, embeddings: NDArray[np.float32]) -> Sequence[tuple[Candidate, ...]]:
        """Return the closest people of each embedding."""
        return [
            tuple(
                Candidate(person_id=match.person_id, face_id=match.face_id, score=match.score)
                for match in matches
            )
            for matches in self._gallery.search(embeddings, _CANDIDATES)
        ]


async def watch_clip(engine: FaceEngine, path: Path, gallery: Gallery) -> list[SightingDraft]:
    """Return every report that the pipeline makes of a recording, in order."""
    drafts: list[SightingDraft] = []
    with inference_with(engine) as inference:
        async with CameraPipeline(
            camera_id="labelled",
            inference=inference,
            identity=InProcessIndex(gallery, engine.pack.dimension),
            report=drafts.append,
            count=lambda _: None,
            clock=VirtualClock(),
            thread_clock=RushingClock(),
            settings=PipelineSettings(frames_waiting=_EVERY_FRAME),
        ) as pipeline:
            address = Secret(f"file:///{path.name}?loop=false")
            sources = Sources(SourcePolicy(media_root=path.parent))
            await pipeline.watch(sources.source_for(address))
    return drafts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What was made of a clip.

    Attributes:
        clip: the clip.
        sightings: the last report of each sighting.
        first_report_s: longest time from the start of a track to the frame of its first report.
    """

    clip: LabelledClip
    sightings: Sequence[SightingDraft]
    first_report_s: float

    @property
    def named(self) -> set[str]:
        """Return everybody who was named in it."""
        return {
            s.decision.person_id
            for s in self.sightings
            if s.decision.decision == "match" and s.decision.person_id is not None
        }

    @property
    def right(self) -> bool:
        """Return whether the person, and nobody else, was named; a stranger never is."""
        return self.named == ({self.clip.expected} if self.clip.expected else set())


async def try_clip(engine: FaceEngine, clip: LabelledClip) -> Outcome:
    """Paint a clip, watch it and throw it away."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_labelled(clip, Path(folder) / "clip.mp4")
        drafts = await watch_clip(engine, path, clip.gallery)
    last = {draft.id: draft for draft in drafts}
    firsts = [draft for draft in drafts if draft.revision == 1]
    return Outcome(
        clip=clip,
        sightings=list(last.values()),
        first_report_s=max(
            ((draft.ended_at - draft.started_at).total_seconds() for draft in firsts), default=0.0
        ),
    )
