"""What a spool under faults is given: sightings and samples that tell who they are."""

import uuid
from datetime import timedelta

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from tests.support.sightings import START, report
from tests.support.telemetry import sample

FIRST = START - timedelta(days=6)


def sighting(number: int, revision: int = 1, crop: bytes = b"") -> gateway_pb2.SightingReport:
    """Return a sighting; its track has the number of the sighting."""
    made = report("unknown", id=sighting_id(number), revision=revision, crop=crop, start=-1)
    made.track_id = number
    made.frames = revision
    return made


def sighting_id(number: int) -> str:
    """Return the id of the sighting of a number."""
    return str(uuid.UUID(int=number + 1))


def telemetry_sample(second: int) -> telemetry_pb2.TelemetrySample:
    """Return the one sample of a second."""
    return sample(FIRST + timedelta(seconds=second), occupancy=second)
