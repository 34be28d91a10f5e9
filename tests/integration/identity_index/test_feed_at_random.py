"""The feed through random histories: enrolments, erasures, broken streams and expired tokens.

In the end every enrolled face is found and no erased one is, whatever was interrupted where.
"""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from identity_index.faiss_gallery import GalleryFace
from service_runtime.errors import OutOfRange, Unavailable
from tests.integration.identity_index.conftest import SPACE, ControlPlane, Index
from tests.integration.identity_index.scripted_faces import WatchCall
from tests.unit.identity_index.vectors import faces_of, unit_vectors

FACES = faces_of(unit_vectors(80, 128), per_person=2)
_STEPS = 150
_AWAY = Unavailable("AWAY", "The control plane is stopping.")
_EXPIRED = OutOfRange("RESUME_TOKEN_EXPIRED", "The token has expired; start over.")


@dataclass(slots=True, kw_only=True)
class Truth:
    """What the database holds, and the events that led there; revision r is after r events."""

    rng: random.Random
    enrolled: dict[str, GalleryFace] = field(default_factory=dict)
    events: list[tuple[str, GalleryFace]] = field(default_factory=list)
    unused: list[GalleryFace] = field(default_factory=lambda: list(FACES))
    all_told: asyncio.Event = field(default_factory=asyncio.Event)

    def change(self) -> None:
        """Enrol a new face or erase an enrolled one; an id never comes back."""
        if self.unused and (not self.enrolled or self.rng.random() < 0.6):
            face = self.unused.pop()
            self.enrolled[face.face_id] = face
            self.events.append(("added", face))
        elif self.enrolled:
            face = self.enrolled.pop(self.rng.choice(sorted(self.enrolled)))
            self.events.append(("removed", face))


async def serve_one_call(call: WatchCall, truth: Truth) -> None:
    """Answer one call as the control plane does, until it breaks or has nothing more to say."""
    rng = truth.rng
    token = call.request.resume_token
    if token and rng.random() < 0.3:
        call.break_with(_EXPIRED)
        return
    if token:
        told = int(token.removeprefix("after-"))
    else:
        told = len(truth.events)  # taken before the first page: what follows is told again
        last = ""
        while page := sorted(name for name in truth.enrolled if name > last)[:5]:
            rows = [truth.enrolled[name] for name in page]
            call.tell(SPACE, added=rows, revision=0, complete=False)
            last = page[-1]
            if rng.random() < 0.5:
                truth.change()
            if rng.random() < 0.03:
                call.break_with(_AWAY)
                return
            await asyncio.sleep(0)
    call.tell(SPACE, revision=told)
    while len(truth.events) < _STEPS or told < len(truth.events):
        if rng.random() < 0.05:
            call.break_with(_AWAY)
            return
        truth.change()
        upto = rng.randint(told, len(truth.events))
        batch = truth.events[told:upto]
        added = [face for kind, face in batch if kind == "added" and face.face_id in truth.enrolled]
        removed = [face.face_id for kind, face in batch if kind == "removed"]
        told = upto
        call.tell(SPACE, added=added, removed=removed, revision=told)
        await asyncio.sleep(0)
    truth.all_told.set()


@pytest.mark.parametrize("seed", range(8))
async def test_in_the_end_the_gallery_is_the_truth(
    control_plane: ControlPlane, index: Index, seed: int
) -> None:
    truth = Truth(rng=random.Random(seed))

    async def control() -> None:
        while True:
            await serve_one_call(await control_plane.faces.next_call(), truth)

    controlling = asyncio.create_task(control())
    async with asyncio.timeout(60):
        await truth.all_told.wait()
        await index.search_loop.wait_for(len(truth.events), patience_s=60)
    controlling.cancel()
    await asyncio.gather(controlling, return_exceptions=True)
    found = set()
    for face in FACES:
        answer = await index.search_loop.search(face.embedding[None], 1)
        found |= {match.face_id for match in answer.matches[0] if match.score > 1 - 1e-4}
    assert answer.revision == len(truth.events)
    assert found == set(truth.enrolled)
