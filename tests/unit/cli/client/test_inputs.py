"""What people type and name: addresses, tokens, photographs, lifetimes."""

import os
from pathlib import Path

import pytest

from cli.client.access import find_access, grpc_target
from cli.client.cameras import url_of
from cli.client.photos import MAX_PHOTO_BYTES, read_photo, read_photos
from cli.client.tokens import parse_lifetime
from cli.failures import CommandFailed, ExitCode


@pytest.mark.parametrize(
    ("server", "target"),
    [
        ("http://127.0.0.1:3001", "127.0.0.1:3001"),
        ("http://site.example/", "site.example:80"),
        ("10.0.0.1:99", "10.0.0.1:99"),
        ("http://[::1]:3001", "[::1]:3001"),
    ],
)
def test_addresses(server: str, target: str) -> None:
    assert grpc_target(server) == target


@pytest.mark.parametrize(
    "server", ["", "https://x", "http://", "http://h:99999", "http://h/path", "http://u:p@h"]
)
def test_no_addresses(server: str) -> None:
    with pytest.raises(CommandFailed, match="is no address of DFIP") as wrong:
        grpc_target(server)
    assert wrong.value.code == ExitCode.USAGE


def test_the_token_comes_from_the_first_place_that_has_one(tmp_path: Path) -> None:
    named, in_variable = tmp_path / "named", tmp_path / "variable"
    named.write_text("from option\n")
    in_variable.write_text("from variable file\n")
    (tmp_path / "admin.token").write_text("from data folder\n")
    environ = {"DFIP_DATA_DIR": str(tmp_path)}

    def token(token_file: Path | None, **more: str) -> str:
        return find_access(None, token_file, environ | more).token.reveal()

    both = {"DFIP_TOKEN": "from variable", "DFIP_TOKEN_FILE": str(in_variable)}
    assert token(named, **both) == "from option"
    assert token(None, **both) == "from variable"
    assert token(None, DFIP_TOKEN_FILE=str(in_variable)) == "from variable file"
    assert token(None) == "from data folder"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a\x00b"])
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(CommandFailed, match="token file") as refused:
        find_access(None, tmp_path / "t", {})
    assert refused.value.code == ExitCode.NOT_ALLOWED


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800)]
)
def test_lifetimes(text: str, seconds: int) -> None:
    assert parse_lifetime(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "1y", "-1s", "1.5h"])
def test_no_lifetimes(text: str) -> None:
    with pytest.raises(CommandFailed, match="is no lifetime"):
        parse_lifetime(text)


def test_photographs_are_read_with_their_type(tmp_path: Path) -> None:
    (tmp_path / "a.PNG").write_bytes(b"picture")
    read = read_photo(tmp_path / "a.PNG")
    assert (read.content_type, read.data) == ("image/png", b"picture")
    assert "picture" not in repr(read)


def test_every_file_that_is_no_photograph_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    with (tmp_path / "large.jpg").open("wb") as large:
        large.truncate(MAX_PHOTO_BYTES + 1)
    names = ["empty.jpg", "pipe.jpg", "large.jpg", "missing.jpg", "."]
    with pytest.raises(CommandFailed) as refused:
        read_photos([tmp_path / name for name in names])
    sentences = refused.value.sentence.splitlines()
    expected = ["is empty", "no ordinary file", "over 10 MiB", "does not exist", "is a folder"]
    assert len(sentences) == len(expected)
    assert all(words in line for words, line in zip(expected, sentences, strict=True))


def test_a_path_becomes_a_file_url(tmp_path: Path) -> None:
    assert url_of(str(tmp_path / "a b.mp4")) == f"file://{tmp_path}/a%20b.mp4"
    assert url_of("rtsp://h/s") == "rtsp://h/s"
