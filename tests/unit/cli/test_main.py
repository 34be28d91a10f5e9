"""How the command answers as a whole: help, exit codes, one sentence and no traceback."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.__main__ import run


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DFIP_TOKEN", "DFIP_TOKEN_FILE", "DFIP_SERVER", "DFIP_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DFIP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def dead_server() -> Iterator[str]:
    """Address where nobody listens and nobody else will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['dfip', '--help']; from cli.__main__ import run; run()\n"
        "heavy = {'grpc', 'google.protobuf', 'numpy', 'av', 'onnxruntime', 'httpx', 'cv2',\n"
        "  'asyncio', 'sqlalchemy', 'psutil', 'jwt', 'cryptography', 'envoy', 'cli.output'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))))"
    )
    helped = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert helped.stderr.strip() == ""
    assert "Exit codes" in helped.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["up", "--help"],
        ["demo", "--help"],
        ["camera", "add", "--help"],
        ["person", "add", "--help"],
        ["sightings", "--help"],
        ["status", "--help"],
        ["doctor", "--help"],
        ["token", "issue", "--help"],
    ],
)
def test_every_command_explains_itself(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(arguments)
    assert code == (2 if not arguments else 0)
    out, err = capsys.readouterr()
    assert "Usage: " in out + err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nonsense"], 2, "No such command"),
        (["camera", "add", "door"], 2, "Missing argument"),
        (["camera", "list"], 4, "There is no token to send"),
        (["camera", "rm", "door", "--token-file", "/no/such"], 4, "token file /no/such cannot be"),
        (["camera", "list", "--server", "ftp://x"], 2, "'ftp://x' is no address of DFIP"),
        (["token", "issue", "--role", "worker"], 2, "Name it with --camera"),
        (["token", "issue", "--role", "admin", "--camera", "c"], 2, "Leave --camera out"),
        (["status", "--json", "-o", "tsv"], 2, "--json is short for -o json"),
        (["status", "-o", "xml"], 2, "'xml' is not one of"),
        (["token", "issue", "--role", "king"], 2, "king"),
        (["person", "add", "Ann", "/no/such.jpg"], 3, "/no/such.jpg does not exist"),
        (["person", "add", "Ann", "/"], 1, "/ is a folder"),
        (["up", "--pack", "nonsense"], 2, "nonsense"),
        (["up", "--media-root", "/no/such"], 2, "media folder /no/such does not exist"),
        (["up", "--data-dir", "/proc/x"], 1, "data folder /proc/x cannot be written"),
        (["up", "--http-port", "70000"], 2, "should be less than or equal to 65535"),
        (["demo", "--person", "Ann=a.jpg"], 2, "--person goes with --source"),
        (["demo", "--source", "/no/such.mp4"], 3, "The video /no/such.mp4 does not exist"),
        (["demo", "--source", "rtsp://h/s", "--until-match"], 2, "Nobody is enrolled"),
        (["demo", "--source", "rtsp://h/s", "--person", "Ann"], 2, "Write --person NAME=PHOTO"),
        (["demo", "--make-clip", "/no/such.jpg", "/tmp/x.mp4"], 3, "/no/such.jpg does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] == "up" and "--http-port" not in arguments:
        arguments = [*arguments, "--http-port", "0"]
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err
    assert out == ""


def test_a_taken_port_ends_up_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["up", "--http-port", str(port)]) == 5
    assert capsys.readouterr().err == (
        f"Port {port} on 127.0.0.1 is taken.\n"
        "  do:      Stop what listens there or choose another port with --http-port.\n"
    )


def test_a_site_that_is_away_is_code_6(
    dead_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DFIP_TOKEN", "t")
    assert run(["camera", "start", "door", "--server", dead_server]) == 6
    what, why, remedy = capsys.readouterr().err.splitlines()
    assert what == f"DFIP does not answer at {dead_server}."
    assert why.startswith("  why:     UNAVAILABLE: ")
    assert remedy == ("  do:      Start it with `dfip up`, or name another address with --server.")


def test_removal_without_a_terminal_wants_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DFIP_TOKEN", "t")
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123 - ends with the test
    assert run(["person", "rm", "Ann"]) == 2
    assert "Say so with --yes." in capsys.readouterr().err
    sys.stdin.close()


def test_debugging_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFIP_DEBUG", "1")
    with pytest.raises(Exception, match="There is no token to send"):
        run(["camera", "list"])
