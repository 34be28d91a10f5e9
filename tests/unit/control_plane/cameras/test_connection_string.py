"""Connection strings: the forms that are taken, the forms that are not, and what an error says."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control_plane.cameras.connection_string import ConnectionRules, check_connection_string
from service_runtime.errors import InvalidArgument

RULES = ConnectionRules(media_root=Path("/srv/media"))
WITH_DEVICES = ConnectionRules(media_root=Path("/srv/media"), devices=True)

GOOD = [
    ("rtsp://10.0.0.5/stream", "rtsp"),
    ("rtsp://user:pass@192.168.1.100:554/stream", "rtsp"),
    ("RTSPS://user:p%40ss%2Fword@camera-1.example.org:322/a/b?channel=1&subtype=0", "rtsps"),
    ("http://camera_7.local:8080/mjpeg?user=a", "http"),
    ("https://[2001:db8::1]:8443/x.m3u8", "https"),
    ("rtsp://user@host", "rtsp"),
    ("rtsp://user:a!$&'()*+,;=:b@host/x", "rtsp"),
    ("rtsp://host/x?y#transport=udp", "rtsp"),
    ("rtsps://host/x#transport=tcp", "rtsps"),
    ("file:///srv/media/clip.mp4", "file"),
    ("file:///srv/media/a/b%20c.mp4?loop=false", "file"),
]


@pytest.mark.parametrize(("text", "scheme"), GOOD)
def test_takes(text: str, scheme: str) -> None:
    assert check_connection_string(text, RULES) == scheme


BAD = {
    "no scheme": "10.0.0.5/stream",
    "unknown scheme": "ftp://10.0.0.5/stream",
    "a protocol of libav": "concat:/etc/passwd|/etc/shadow",
    "a nested protocol": "rtsp+concat://host/x",
    "a device": "v4l2:///dev/video0",
    "a javascript link": "javascript://host/%0aalert(1)",
    "no host": "rtsp:///stream",
    "no host but a port": "rtsp://:554/stream",
    "no host but a user": "rtsp://user:pass@/stream",
    "port 0": "rtsp://host:0/stream",
    "port too high": "rtsp://host:65536/stream",
    "port of letters": "rtsp://host:http/stream",
    "port of other digits": "rtsp://host:\u0665\u0665\u0664/stream",
    "empty port": "rtsp://host:/stream",
    "space": "rtsp://ho st/stream",
    "leading space": " rtsp://host/stream",
    "trailing newline": "rtsp://host/stream\n",
    "newline": "rtsp://host/a\r\nSET_PARAMETER rtsp://other/",
    "escape character": "rtsp://host/\x1b[2J",
    "zero byte": "rtsp://host/a\x00b",
    "letters outside ASCII": "rtsp://h\u00f6st/stream",
    "direction override": "rtsp://host/\u202egpj.mp4",
    "two at signs": "rtsp://user:p@ss@host/stream",
    "host hidden in the path": "rtsp://safe:554/x@evil/stream",
    "password with a slash": "rtsp://user:pa/ss@host/stream",
    "password with a hash": "rtsp://user:55#x@host/stream",
    "backslash before the host": "http://safe\\@evil/stream",
    "broken escape": "rtsp://user:100%@host/stream",
    "half an address": "rtsp://[::1/stream",
    "no address in brackets": "rtsp://[12345]/stream",
    "address with a zone": "rtsp://[fe80::1%25eth0]/stream",
    "empty part of a host": "rtsp://a..b/stream",
    "another fragment": "rtsp://host/x#t=1",
    "a transport of http": "http://host/x#transport=udp",
    "pictures of rtsps in the clear": "rtsps://host/x#transport=udp",
    "file above the root": "file:///srv/other/clip.mp4",
    "file through dots": "file:///srv/media/../../etc/passwd",
    "file through escaped dots": "file:///srv/media/%2e%2e/%2e%2e/etc/passwd",
    "file beside the root": "file:///srv/media-of-others/clip.mp4",
    "the root itself": "file:///srv/media",
    "file with a host": "file://server/srv/media/clip.mp4",
    "relative file": "file://clip.mp4",
    "file with two slashes": "file:////srv/media/clip.mp4",
    "file with a zero byte": "file:///srv/media/a%00.mp4",
    "file with a newline": "file:///srv/media/a%0ab.mp4",
    "file with another query": "file:///srv/media/a.mp4?loop=maybe",
    "file with a fragment": "file:///srv/media/a.mp4#t=1",
    "empty": "",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_connection_string(text, RULES)
    assert refused.value.reason == "CONNECTION_STRING_INVALID"
    assert refused.value.violations[0].field == "connection_string"


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://canary-user:canary-pass@host:99999/canary-path",
        "rtsp://canary-user:canary-pass@@host/canary-path",
        "canary://canary-user:canary-pass@host/canary-path",
        "file:///canary-user/canary-pass",
        "canary-pass",
    ],
)
def test_an_error_repeats_nothing(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_connection_string(text, RULES)
    told = repr((refused.value.sentence, refused.value.violations, refused.value.metadata))
    assert "canary" not in told


@pytest.mark.parametrize("text", ["v4l2:///dev/video0", "V4L2:///dev/video127"])
def test_a_device_where_they_are_allowed(text: str) -> None:
    assert check_connection_string(text, WITH_DEVICES) == "v4l2"
    with pytest.raises(InvalidArgument, match="--allow-devices"):
        check_connection_string(text, RULES)


@pytest.mark.parametrize(
    "path",
    [
        "/dev/sda",
        "/dev/video",
        "/dev/video0/../sda",
        "/dev/video0?x",
        "/etc/passwd",
        "/dev/video\u0663",
    ],
)
def test_no_other_device(path: str) -> None:
    with pytest.raises(InvalidArgument):
        check_connection_string(f"v4l2://{path}", WITH_DEVICES)


@given(st.text(max_size=80))
@example("file:///srv/media/./../x")
@example("file:///srv/media//../../x")
def test_a_file_never_leaves_the_root(tail: str) -> None:
    try:
        check_connection_string(f"file:///srv/media/{tail}", RULES)
    except InvalidArgument:
        return
    assert ".." not in Path(tail).parts
    assert tail.isascii()


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
def test_whatever_is_taken_has_one_reading(text: str) -> None:
    try:
        check_connection_string(f"rtsp://{text}", RULES)
    except InvalidArgument:
        return
    authority = text.split("/", maxsplit=1)[0].split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]
    # every parser agrees where the host is: after the one @ there may be
    assert text.count("@") == authority.count("@") <= 1
    assert authority.rpartition("@")[2].strip(":")
