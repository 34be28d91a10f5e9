"""What a connection string names, and that its credentials stay inside."""

import pytest

from service_runtime.secret import Secret
from vision_worker.sources.address import DeviceAddress, FileAddress, NetworkAddress, parse_address
from vision_worker.sources.failure import SourceFailure


@pytest.mark.parametrize(
    ("text", "path", "loops"),
    [
        ("file:///clip.mp4", "/clip.mp4", True),
        ("file:///a%20b/clip.mp4?loop=false", "/a b/clip.mp4", False),
        ("FILE:///clip.mp4?loop=true", "/clip.mp4", True),
        ("file://localhost/clip.mp4", "/clip.mp4", True),
    ],
)
def test_a_file(text: str, path: str, loops: bool) -> None:
    assert parse_address(Secret(text)) == FileAddress(path=path, loops=loops)


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("rtsp://u:p%40x@cam.local/s1", "rtsp", "cam.local", 554),
        ("rtsps://[fe80::1]:8322/s1", "rtsps", "fe80::1", 8322),
        ("http://10.0.0.2:8080/video", "http", "10.0.0.2", 8080),
        ("HTTPS://cam/video", "https", "cam", 443),
    ],
)
def test_a_camera_on_the_network(text: str, scheme: str, host: str, port: int) -> None:
    address = parse_address(Secret(text))
    assert isinstance(address, NetworkAddress)
    assert (address.scheme, address.host, address.port) == (scheme, host, port)
    assert not any(secret in repr(address) for secret in ("p%40x", "p@x", "s1", "video"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "clip.mp4",
        "/etc/passwd",
        "rtsp://",
        "rtsp://user:canary@host:99999/x",
        "concat:file:///a|file:///b",
        "lavfi:testsrc",
        "udp://239.0.0.1:1234",
        "file://canary-host/clip.mp4",
        "http://cam/canary\r\nX-Header: 1",
        "rtsp://user:canary%0d%0aX-Header:%201@cam/x",
        "rtsp://cam/x#canary",
        "rtsps://cam/x#transport=udp",
        "v4l2:///dev/../etc/canary",
        "v4l2:///dev/video0/canary",
        "v4l2://canary/dev/video0",
        "v4l2:///dev/video1000",
    ],
)
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SourceFailure) as caught:
        parse_address(Secret(text))
    assert caught.value.reason == "forbidden_address"
    assert "canary" not in caught.value.sentence
    assert caught.value.__cause__ is None


def test_credentials_are_taken_out_and_decoded() -> None:
    address = parse_address(
        Secret("rtsp://us%3Aer:p%40%2Fx@cam/live?channel=1&key=k%20#transport=udp")
    )
    assert isinstance(address, NetworkAddress)
    assert address.credentials is not None
    assert address.credentials.user.reveal() == "us:er"
    assert address.credentials.password.reveal() == "p@/x"
    assert address.target.reveal() == "/live?channel=1&key=k%20"
    assert (address.transport, address.authority) == ("udp", "cam")


def test_an_address_without_credentials_path_or_usual_port() -> None:
    address = parse_address(Secret("http://[fd00::7]:8080"))
    assert isinstance(address, NetworkAddress)
    assert (address.credentials, address.transport) == (None, "tcp")
    assert (address.authority, address.target.reveal()) == ("[fd00::7]:8080", "/")


def test_a_device() -> None:
    assert parse_address(Secret("v4l2:///dev/video12")) == DeviceAddress(path="/dev/video12")
