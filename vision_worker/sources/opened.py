"""A camera that can be opened, and one that is: the port between sources and decoding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vision_worker.sources.failure import SourceFailure


class Supply(Protocol):
    """What a container reads from, where that is ours."""

    @property
    def failure(self) -> SourceFailure | None:
        """Why it ended, where it knows."""
        ...

    def packet_came(self) -> None:
        """Learn that libav made a packet of what it read."""
        ...

    def interrupt(self) -> None:
        """Have whoever reads from it wake up, and end; from any thread."""
        ...

    def close(self) -> None:
        """Free it; safe to call twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedSource:
    """A container that is open.

    Attributes:
        container: libav's demuxer.
        paced: it can be read faster than it happened, so timestamps say when a frame is due.
        stamped: its timestamps mean something; else a frame's time is when it arrives.
        supply: what the container reads from, where that is ours to close.
    """

    container: InputContainer
    paced: bool
    stamped: bool
    supply: Supply | None = None

    def packets(self, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
        """Return the packets of a stream; blocks. Raises libav's errors and `SourceFailure`."""
        for packet in self.container.demux(stream):
            if self.supply is not None:
                self.supply.packet_came()
            yield packet

    @property
    def failure(self) -> SourceFailure | None:
        """Return why it ended, where its camera told."""
        return None if self.supply is None else self.supply.failure

    def interrupt(self) -> None:
        """Have whoever reads packets wake up, and end; from any thread."""
        if self.supply is not None:
            self.supply.interrupt()

    def close(self) -> None:
        """Free it; safe to call twice."""
        self.container.close()
        if self.supply is not None:
            self.supply.close()


class Source(Protocol):
    """A camera that can be opened, again and again."""

    @property
    def loops(self) -> bool:
        """Whether its end is followed by its beginning."""
        ...

    @property
    def live(self) -> bool:
        """Whether its end is a failure."""
        ...

    def open(self) -> OpenedSource:
        """Open it; blocks. Raises `SourceFailure`."""
        ...
