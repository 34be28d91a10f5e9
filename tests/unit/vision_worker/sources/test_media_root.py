"""Files below the media root open; nothing else does."""

import os
from pathlib import Path

import pytest

from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.media_root import open_below


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with `clip` and `deep/er/clip`, beside a file that must not be reached."""
    root = tmp_path / "media"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "clip").write_text("inside")
    (root / "deep" / "er" / "clip").write_text("deep inside")
    (tmp_path / "secret").write_text("outside")
    return root


@pytest.mark.parametrize("path", ["/clip", "clip", "//clip", "/./clip"])
def test_a_file_by_its_path_from_the_root_on(root: Path, path: str) -> None:
    with open_below(root, path) as file:
        assert file.read() == b"inside"


def test_a_file_by_its_absolute_path(root: Path) -> None:
    with open_below(root, f"{root}/deep/er/clip") as file:
        assert file.read() == b"deep inside"


def test_a_root_that_is_a_link_itself(root: Path, tmp_path: Path) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    for path in ("/clip", f"{alias}/clip", f"{root}/clip"):
        with open_below(alias, path) as file:
            assert file.read() == b"inside"


def test_a_link_that_stays_inside(root: Path) -> None:
    (root / "deep" / "link").symlink_to(root / "clip")
    with open_below(root, "/deep/link") as file:
        assert file.read() == b"inside"


@pytest.mark.parametrize("path", ["/missing", "/clip/below-a-file", "/etc/passwd", "/deep/none/x"])
def test_what_is_not_there_is_not_found(root: Path, path: str) -> None:
    with pytest.raises(SourceFailure) as caught:
        open_below(root, path)
    assert caught.value.reason == "not_found"
    assert path not in caught.value.sentence


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/deep/../../secret", "/deep/../clip", "/clip\x00.mp4", "/deep", "/", ""],
)
def test_paths_that_are_forbidden_as_text(root: Path, path: str) -> None:
    require_forbidden(root, path)


def test_a_path_too_long_to_be_one(root: Path) -> None:
    require_forbidden(root, "/" + "x" * 5000)


@pytest.mark.parametrize(
    ("target", "path"), [("../secret", "/link"), ("..", "/link/secret"), ("link", "/link")]
)
def test_links_that_lead_out_or_nowhere(root: Path, target: str, path: str) -> None:
    (root / "link").symlink_to(target)
    require_forbidden(root, path)


def test_a_pipe_does_not_hang(root: Path) -> None:
    os.mkfifo(root / "pipe")
    require_forbidden(root, "/pipe")


def require_forbidden(root: Path, path: str) -> None:
    with pytest.raises(SourceFailure) as caught:
        open_below(root, path)
    assert caught.value.reason == "forbidden_address"
