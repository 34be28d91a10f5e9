"""Telemetry as values: samples and their rules, batches and their place in a session, buckets.

Pure. ``plan.py`` decides what a transaction writes of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service_runtime.errors import FieldViolation, InvalidArgument

OLDEST: Final = timedelta(days=7)
MOST_AHEAD: Final = timedelta(minutes=5)
MOST_COUNTED: Final = 1_000_000
LONGEST_ZONE: Final = 200
MOST_BUCKETS: Final = 5_000
SECOND_US: Final = 1_000_000

_OLDEST_US: Final = OLDEST // timedelta(microseconds=1)
_MOST_AHEAD_US: Final = MOST_AHEAD // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How many people were there at a moment.

    Attributes:
        observed_us: Microseconds since 1970.
        occupancy: People in the picture or the zone.
        confidence: 0 to 1; None where it is not told.
        zone: Its name; empty is the whole picture.
        entries: People who came in since the sample before.
        exits: People who went out since the sample before.
    """

    observed_us: int
    occupancy: int
    confidence: float | None = None
    zone: str = ""
    entries: int = 0
    exits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Why a sample does not count."""

    field: str
    reason: str
    sentence: str

    def refusal(self) -> InvalidArgument:
        """Return it as the answer to a report of one sample."""
        violation = FieldViolation(field=self.field, description=self.sentence)
        return InvalidArgument(self.reason, self.sentence, violations=[violation])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which batch of which session this is; ``digest`` tells its content from another's."""

    session_id: str
    sequence: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples that count together or not at all.

    Attributes:
        camera_id: The camera that they are of.
        epoch: The epoch that its reporter speaks in.
        samples: What it reports, without flaws.
        ids: One number for each sample; a camera keeps one sample of a moment and number.
        place: Its place in a session; None for a single report.
        repeatable: The sample may be there already, and then this one is a repetition.
    """

    camera_id: str
    epoch: int | None
    samples: Sequence[Sample]
    ids: Sequence[int]
    place: Place | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What to read of a camera: ``since_us`` is in it, ``until_us`` is not."""

    camera_id: str
    zone: str
    since_us: int
    until_us: int
    bucket_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The samples of one bucket of time, summed up."""

    start_us: int
    samples: int
    occupancy_min: int
    occupancy_mean: float
    occupancy_max: int
    entries: int
    exits: int
    confidence_mean: float | None


def flaw_of(sample: Sample, *, now_us: int) -> Flaw | None:
    """Return the rule that a sample breaks, if any."""
    return (
        _time_flaw(sample.observed_us, now_us)
        or _count_flaw(sample)
        or _confidence_flaw(sample.confidence)
        or zone_flaw(sample.zone)
    )


def _time_flaw(observed_us: int, now_us: int) -> Flaw | None:
    if observed_us < now_us - _OLDEST_US:
        return Flaw(
            field="timestamp",
            reason="TIMESTAMP_TOO_OLD",
            sentence="The timestamp is more than 7 days old; check the reporter's clock.",
        )
    if observed_us > now_us + _MOST_AHEAD_US:
        return Flaw(
            field="timestamp",
            reason="TIMESTAMP_AHEAD",
            sentence="The timestamp is more than 5 minutes ahead; check the reporter's clock.",
        )
    return None


def _count_flaw(sample: Sample) -> Flaw | None:
    for field in ("occupancy", "entries", "exits"):
        if not 0 <= getattr(sample, field) <= MOST_COUNTED:
            return Flaw(
                field=field,
                reason="COUNT_OUT_OF_RANGE",
                sentence=f"{field} must be from 0 to {MOST_COUNTED}.",
            )
    return None


def _confidence_flaw(confidence: float | None) -> Flaw | None:
    # a number that is none fails every comparison
    if confidence is None or (math.isfinite(confidence) and 0 <= confidence <= 1):
        return None
    return Flaw(
        field="confidence",
        reason="CONFIDENCE_OUT_OF_RANGE",
        sentence="confidence must be a number from 0 to 1.",
    )


def zone_flaw(zone: str) -> Flaw | None:
    """Return what is wrong with the name of a zone, if anything."""
    if not zone or (len(zone) <= LONGEST_ZONE and zone.isprintable()):
        return None
    return Flaw(
        field="zone",
        reason="ZONE_INVALID",
        sentence=f"zone must be a printable name of at most {LONGEST_ZONE} characters.",
    )


def range_of(
    camera_id: str,
    *,
    zone: str,
    since: datetime | None,
    until: datetime | None,
    bucket_s: int,
    now: datetime,
) -> Range:
    """Return the range that is asked for, with what is left open filled in.

    Raises:
        InvalidArgument: It ends before it starts, spans too many buckets, or names no zone.
    """
    if flaw := zone_flaw(zone):
        raise flaw.refusal()
    until = until or now
    try:
        since = since or until - timedelta(hours=1)
    except OverflowError:
        since = until
    found = Range(
        camera_id=camera_id,
        zone=zone,
        since_us=microseconds(since),
        until_us=microseconds(until),
        bucket_s=bucket_s or 60,
    )
    if found.since_us >= found.until_us:
        raise _range_refused("since", "`since` must be before `until`.")
    if found.until_us - found.since_us > MOST_BUCKETS * found.bucket_s * SECOND_US:
        raise _range_refused(
            "bucket_s",
            f"The range spans more than {MOST_BUCKETS} buckets; ask for longer buckets or less.",
        )
    return found


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _range_refused(field: str, sentence: str) -> InvalidArgument:
    violation = FieldViolation(field=field, description=sentence)
    return InvalidArgument("RANGE_INVALID", sentence, violations=[violation])


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
