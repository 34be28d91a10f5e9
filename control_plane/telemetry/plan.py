"""What one transaction writes of the batches that wait together: a pure decision.

In come the batches and what the database says of their cameras, sessions and repeated samples. Out
come the samples to write, how far the sessions are then, and whom to refuse. A refused batch leaves
no trace and does not keep the others from being written. ``store.py`` looks up and writes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from control_plane.runtime.store import camera_not_found, stale_epoch
from control_plane.telemetry.model import Batch, Place, Sample
from service_runtime.errors import AlreadyExists, OutOfRange, PermissionDenied, ServiceError

SampleKey = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a session is."""

    camera_id: str
    epoch: int
    sequence: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the database says, as the transaction sees it.

    Attributes:
        epochs: The epoch in force of each camera that there is.
        sessions: Of the sessions that are known, how far each is.
        present: Of the samples that may be repetitions, those that are there.
    """

    epochs: Mapping[str, int]
    sessions: Mapping[str, Progress]
    present: Collection[SampleKey]


@dataclass(slots=True, kw_only=True)
class Plan:
    """What to write, and whom to refuse, by the batch's place in the group."""

    samples: list[tuple[SampleKey, Sample]] = field(default_factory=list)
    sessions: dict[str, Progress] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    refused: dict[int, ServiceError] = field(default_factory=dict)


def plan_group(batches: Sequence[Batch], standing: Standing) -> Plan:
    """Decide on each batch in its turn; a batch sees what those before it have changed."""
    plan = Plan()
    present = set(standing.present)
    for index, batch in enumerate(batches):
        try:
            epoch = _epoch_in_force(batch, standing.epochs)
            progress = None
            if batch.place is not None:
                session_id = batch.place.session_id
                known = plan.sessions.get(session_id) or standing.sessions.get(session_id)
                progress = _advance(batch, batch.place, known, epoch)
        except ServiceError as refusal:
            plan.refused[index] = refusal
            continue
        plan.heard.add(batch.camera_id)
        if batch.place is not None:
            if progress is None:
                continue
            plan.sessions[batch.place.session_id] = progress
        keyed = [
            ((batch.camera_id, sample.observed_us, id_), sample)
            for id_, sample in zip(batch.ids, batch.samples, strict=True)
        ]
        if batch.repeatable:
            keyed = [(key, sample) for key, sample in keyed if key not in present]
            present.update(key for key, _ in keyed)
        plan.samples += keyed
    return plan


def _epoch_in_force(batch: Batch, epochs: Mapping[str, int]) -> int:
    epoch = epochs.get(batch.camera_id)
    if epoch is None:
        raise camera_not_found(batch.camera_id)
    if epoch != batch.epoch:
        raise stale_epoch(batch.camera_id)
    return epoch


def _advance(batch: Batch, place: Place, known: Progress | None, epoch: int) -> Progress | None:
    """Return how far the session is with this batch; None where the batch is a repetition."""
    if known is not None and known.camera_id != batch.camera_id:
        raise PermissionDenied("SESSION_OF_ANOTHER_CAMERA", "Open a session of your own camera.")
    done = known.sequence if known is not None else 0
    if known is not None and place.sequence <= done:
        if place.sequence == done and place.digest != known.digest:
            raise AlreadyExists(
                "SEQUENCE_REUSED",
                "Another batch of this session had this sequence number; start a new session.",
                sequence=str(done),
            )
        return None
    if place.sequence != done + 1:
        # taking it would make the missing ones look like repetitions when they come
        raise OutOfRange(
            "SEQUENCE_GAP",
            "Batches before this one are missing; send them first, or start a new session.",
            expected=str(done + 1),
        )
    return Progress(
        camera_id=batch.camera_id, epoch=epoch, sequence=place.sequence, digest=place.digest
    )
