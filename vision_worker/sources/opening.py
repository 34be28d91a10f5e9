"""From a connection string to a source: all kinds of cameras, behind one port.

A recording is played by its timestamps and may begin again; a camera on the network is read as it
comes. Opening blocks, so it happens in the decoding thread (`decode/reader.py`).
"""

from service_runtime.secret import Secret
from vision_worker.sources.address import (
    DeviceAddress,
    FileAddress,
    NetworkAddress,
    parse_address,
)
from vision_worker.sources.device import DeviceSource
from vision_worker.sources.network import HttpSource, RtspSource
from vision_worker.sources.opened import OpenedSource, Source
from vision_worker.sources.policy import SourcePolicy
from vision_worker.sources.recording import FileSource
from vision_worker.sources.relay.line import Lines
from vision_worker.sources.relay.names import Names

__all__ = ["OpenedSource", "Source", "Sources"]


class Sources:
    """All that a worker opens cameras with; one for the process.

    Args:
        policy: what may be opened.
    """

    def __init__(self, policy: SourcePolicy) -> None:
        self._policy = policy
        self._lines = Lines(names=Names(), addresses=policy.addresses, ca_file=policy.ca_file)

    def source_for(self, connection_string: Secret) -> Source:
        """Return the source that a connection string names, not yet opened.

        Raises:
            SourceFailure: it is no address that a worker opens.
        """
        match parse_address(connection_string):
            case FileAddress() as address:
                return FileSource(address=address, media_root=self._policy.media_root)
            case DeviceAddress() as address:
                return DeviceSource(address=address, allowed=self._policy.devices)
            case NetworkAddress(scheme="rtsp" | "rtsps") as address:
                return RtspSource(address=address, lines=self._lines, policy=self._policy)
            case NetworkAddress() as address:
                return HttpSource(address=address, lines=self._lines, policy=self._policy)
