"""Parsers of what cameras send: whatever comes, they end, within their bounds, in one way."""

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.relay.authorization import parse_challenges
from vision_worker.sources.relay.playlist import parse_playlist
from vision_worker.sources.relay.rtsp_message import Message, NotRtsp, RtspInput, written
from vision_worker.sources.relay.session_description import description_for, picture_of

few = settings(max_examples=60)
BASE = "rtsp://10.0.0.5/live"


def everything(data: bytes, pieces: int) -> list[Message | bytes | str]:
    """Return what an input made of data that came in pieces of a size."""
    one, found = RtspInput(), []  # type: RtspInput, list[Message | bytes | str]
    for start in range(0, len(data), pieces):
        one.feed(data[start : start + pieces])
        try:
            while True:
                if (media := one.media((0, 1))) is not None:
                    found += [media[0]] if media[0] else []
                elif (message := one.message()) is not None:
                    found.append(message)
                else:
                    break
        except NotRtsp:
            return [*found, "not RTSP"]
    return found


RTP = b"$\x00\x00\x0c\x80" + bytes(11)
MESSAGES = [
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc",
    b"RTSP/1.0 200 OK\nCSeq: 2\n\n",
    b"OPTIONS * RTSP/1.0\r\nCSeq: 3\r\nX: a\r\n b\r\n\r\n",
    RTP,
    b"\r\n",
]


@few
@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.integers(1, 40))
def test_how_a_line_is_cut_into_pieces_changes_nothing(parts: list[bytes], pieces: int) -> None:
    data = b"".join(parts)

    def flat(found: list[Message | bytes | str]) -> tuple[list[object], bytes]:
        media = b"".join(one for one in found if isinstance(one, bytes))
        return [one for one in found if not isinstance(one, bytes)], media

    assert flat(everything(data, pieces)) == flat(everything(data, max(1, len(data))))
    assert flat(everything(data, pieces))[1] == RTP * parts.count(RTP)


@few
@given(st.binary(max_size=300), st.integers(1, 64))
@example(b"$\x00\x00\x00" * 50, 3)
@example(b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", 64)
@example(b"RTSP/1.0 200 OK\r\nX: a\rb\r\n\r\n", 64)
def test_any_bytes_are_taken_or_refused(data: bytes, pieces: int) -> None:
    everything(data, pieces)


def test_what_cannot_be_rtp_is_left_out() -> None:
    short, wrong = b"$\x00\x00\x04\x80abc", b"$\x00\x00\x0c" + bytes(12)
    other = b"$\x07\x00\x0c\x80" + bytes(11)
    report = b"$\x01\x00\x08\x80" + bytes(7)
    one = RtspInput()
    one.feed(short + RTP + wrong + other + report + RTP)
    assert one.media((0, 1)) == (RTP + report + RTP, 24)
    assert one.media((0, 1)) is None


def test_no_header_can_begin_another() -> None:
    with pytest.raises(ValueError, match="one line"):
        written("PLAY x RTSP/1.0", {"Session": "1\r\nX: y"})


@few
@given(st.text(max_size=300))
@example("v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:rtsp://a b")
@example("v=0\nm=video 0 RTP/AVP 999 96\na=rtpmap:999 H264/90000")
@example("v=0\nm=video 0 RTP/SAVP 96\na=rtpmap:96 H264/90000")
def test_any_description_is_read_or_refused(text: str) -> None:
    with suppress(SourceFailure):
        picture = picture_of(text.encode(), base=BASE)
        assert picture.control.isascii()


def test_libav_sees_nothing_of_a_description_but_the_format() -> None:
    hostile = (
        "v=0\r\no=- 1 1 IN IP4 evil.test\r\ns=x\r\nc=IN IP4 evil.test\r\n"
        "a=control:rtsp://evil.test/all\r\na=range:npt=0-10\r\nm=audio 0 RTP/AVP 0\r\n"
        "m=video 7 RTP/AVP 98 96\r\na=rtpmap:96 H264/90000\r\na=rtpmap:98 x-evil/90000\r\n"
        "a=fmtp:96 sprop-parameter-sets=Z0I=,aM4=\r\na=fmtp:98 evil\r\na=evil:1\r\n"
        "a=framerate:25\r\na=control:rtsp://evil.test/1\r\n"
    )
    picture = picture_of(hostile.encode(), base=BASE)
    assert (picture.codec, picture.payload_type) == ("H264", 96)
    assert (picture.aggregate, picture.control) == (
        "rtsp://evil.test/all",
        "rtsp://evil.test/1",
    )
    given_to_libav = description_for(picture, control="rtsp://127.0.0.1:9/t/picture").decode()
    assert "evil" not in given_to_libav
    assert "a=fmtp:96 sprop-parameter-sets=Z0I=,aM4=\r\n" in given_to_libav
    assert "a=framerate:25\r\n" in given_to_libav


@pytest.mark.parametrize(
    ("base", "control", "resolved"),
    [
        (BASE, "*", BASE),
        (BASE, "trackID=1", f"{BASE}/trackID=1"),
        (f"{BASE}/", "trackID=1", f"{BASE}/trackID=1"),
        (f"{BASE}?channel=1&subtype=0", "trackID=0", f"{BASE}?channel=1&subtype=0/trackID=0"),
        (BASE, "rtsp://192.168.1.2/x", "rtsp://192.168.1.2/x"),
    ],
)
def test_addresses_of_pictures_as_players_read_them(base: str, control: str, resolved: str) -> None:
    text = f"v=0\nm=video 0 RTP/AVP 26\na=control:{control}\n"
    picture = picture_of(text.encode(), base=base)
    assert (picture.control, picture.codec) == (resolved, "JPEG")


@few
@given(st.text(max_size=200))
def test_any_playlist_is_read_or_refused(text: str) -> None:
    with suppress(SourceFailure):
        parse_playlist(b"#EXTM3U\n" + text.encode(), url="http://cam/x.m3u8")


@few
@given(st.lists(st.text(max_size=100), max_size=3))
@example(['x="' * 30_000])
@example(["a" + " " * 60_000 + "b"])
def test_any_challenge_is_read(headers: list[str]) -> None:
    assert len(parse_challenges(headers)) <= 16
