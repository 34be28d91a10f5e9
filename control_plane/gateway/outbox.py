"""What is to be said to one worker next. Holds at most one message of each kind.

Later news replaces earlier news of its kind: the newest assignment, the highest acknowledgement. So
a worker that reads slowly makes nothing grow here.
"""

import asyncio
from collections.abc import AsyncGenerator

from dfip.control_plane.v1.worker_gateway_service_pb2 import (
    Acknowledgement,
    Assignment,
    ConnectResponse,
    Drain,
    Retry,
    TelemetryAcknowledgement,
)


class Outbox:
    """Messages to one worker, until it is closed or failed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._assignment: Assignment | None = None
        self._acknowledged = 0
        self._telemetry: TelemetryAcknowledgement | None = None
        self._retry = False
        self._drain: str | None = None
        self._closed = False
        self._error: BaseException | None = None

    def assign(self, assignment: Assignment) -> None:
        """Say what to watch, in place of what was not said yet."""
        self._assignment = assignment
        self._changed.set()

    def acknowledge(self, sequence: int) -> None:
        """Say that batches of sightings up to this one are durable."""
        self._acknowledged = max(self._acknowledged, sequence)
        self._changed.set()

    def acknowledge_telemetry(self, sequence: int, rejected_samples: int) -> None:
        """Say that batches of telemetry up to this one are durable, and how many samples are not.

        ``rejected_samples`` counts from the start of the stream.
        """
        before = self._telemetry.sequence if self._telemetry is not None else 0
        self._telemetry = TelemetryAcknowledgement(
            sequence=max(before, sequence), rejected_samples=rejected_samples
        )
        self._changed.set()

    def retry(self) -> None:
        """Say that the source should be tried again at once."""
        self._retry = True
        self._changed.set()

    def drain(self, reason: str) -> None:
        """Say that the end has come."""
        self._drain = reason
        self._changed.set()

    def close(self, error: BaseException | None = None) -> None:
        """End ``messages`` after what is there now, with the error where there is one."""
        if not self._closed:
            self._closed, self._error = True, error
        self._changed.set()

    async def messages(self) -> AsyncGenerator[ConnectResponse]:
        """Yield what there is to say.

        Raises:
            BaseException: The error that ``close`` was given.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            for message in self._take():
                yield message
            if self._closed:
                if self._error is not None:
                    raise self._error
                return

    def _take(self) -> list[ConnectResponse]:
        taken: list[ConnectResponse] = []
        if self._acknowledged:
            acknowledgement = Acknowledgement(sequence=self._acknowledged)
            taken.append(ConnectResponse(acknowledgement=acknowledgement))
        if self._telemetry is not None:
            taken.append(ConnectResponse(telemetry_acknowledgement=self._telemetry))
        if self._assignment is not None:
            taken.append(ConnectResponse(assignment=self._assignment))
        if self._retry:
            taken.append(ConnectResponse(retry=Retry()))
        if self._drain is not None:
            taken.append(ConnectResponse(drain=Drain(reason=self._drain)))
        self._assignment, self._acknowledged, self._telemetry = None, 0, None
        self._retry, self._drain = False, None
        return taken
