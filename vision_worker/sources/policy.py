"""What the operator allows cameras to be. Read once from the worker's settings; opens nothing."""

from dataclasses import dataclass, field
from pathlib import Path

from service_runtime.addresses import AddressPolicy, parse_networks


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTimes:
    """How long a camera is waited for, in seconds; together less than the 10 s of the contracts.

    Attributes:
        open_s: from the look-up of its name to its agreement to send.
        stall_s: between two pieces of media.
    """

    open_s: float = 8.0
    stall_s: float = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePolicy:
    """What may be opened.

    Attributes:
        media_root: the folder that `file://` cameras are below.
        addresses: where cameras may be on the network.
        ca_file: authorities to trust in place of the machine's, as PEM.
        hls: a camera may answer with a playlist.
        devices: a camera may be a device of this machine.
        times: how long a camera is waited for.
    """

    media_root: Path
    addresses: AddressPolicy = field(default_factory=lambda: AddressPolicy(beginning="site"))
    ca_file: Path | None = None
    hls: bool = False
    devices: bool = False
    times: SourceTimes = field(default_factory=SourceTimes)


def camera_addresses(networks: str) -> AddressPolicy:
    """Return where cameras may be: in the networks of the list, or in any where a site may be.

    Raises:
        ValueError: A part of the list is no network; the text names it.
    """
    named = parse_networks(networks)
    return AddressPolicy(networks=named, beginning="nothing" if named else "site")
