"""Devices of this machine: only where they are allowed, and only devices of video."""

from pathlib import Path

import pytest

from service_runtime.secret import Secret
from vision_worker.sources.address import DeviceAddress
from vision_worker.sources.device import DeviceSource
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy


def reason_of(path: str, *, allowed: bool = True) -> str:
    with pytest.raises(SourceFailure) as caught:
        DeviceSource(address=DeviceAddress(path=path), allowed=allowed).open()
    return caught.value.reason


def test_a_device_needs_the_operators_word() -> None:
    assert reason_of("/dev/null", allowed=False) == "forbidden_address"
    source = Sources(SourcePolicy(media_root=Path("/nowhere"))).source_for(
        Secret("v4l2:///dev/video997")
    )
    with pytest.raises(SourceFailure, match="DFIP_ALLOW_DEVICES"):
        source.open()


def test_a_device_that_is_not_there() -> None:
    assert reason_of("/dev/video997") == "not_found"


def test_what_is_no_device_of_video(tmp_path: Path) -> None:
    assert reason_of("/dev/null") == "forbidden_address"
    file = tmp_path / "video0"
    file.write_bytes(b"x")
    assert reason_of(str(file)) == "forbidden_address"
    link = tmp_path / "video1"
    link.symlink_to("/dev/null")
    assert reason_of(str(link)) == "forbidden_address"
