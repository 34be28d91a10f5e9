"""What is in the way is said in one sentence before anything starts."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cli.certificates.authority import tls_files
from cli.failures import CommandFailed, ExitCode
from cli.supervisor.site import SiteWish, listening_address, make_runtime_dir, open_site
from tests.support.certificates import TestCertificates


def wish(data_dir: Path, *, media_root: Path | None = None, http_port: int = 0) -> SiteWish:
    return SiteWish(
        data_dir=data_dir,
        host="127.0.0.1",
        http_port=http_port,
        media_root=media_root,
        pack_id="builtin",
    )


@pytest.fixture(autouse=True)
def _own_runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()


def test_an_open_site_has_its_folders_closed_to_others(tmp_path: Path) -> None:
    with open_site(wish(tmp_path / "a" / "b")) as site:
        assert site.media_root == site.data_dir / "media"
        assert site.media_root.is_dir()
        assert site.logs_dir.is_dir()
        assert site.data_dir.stat().st_mode & 0o077 == 0
        assert site.runtime_dir.stat().st_mode & 0o777 == 0o700
        assert site.url == f"http://127.0.0.1:{site.http_port}"
        assert 0 < site.http_port < 65536
        assert site.target("x") == f"unix:{site.runtime_dir}/x.sock"
    assert not site.runtime_dir.exists()


def test_with_tls_a_site_has_certificates_and_a_port_for_each_service(tmp_path: Path) -> None:
    protected = replace(wish(tmp_path / "d"), tls=True)
    with open_site(protected) as site:
        assert site.tls is not None
        assert len(set(site.tls.ports.values())) == len(site.tls.ports) == 4
        assert site.target("control_plane") == f"127.0.0.1:{site.tls.ports['control_plane']}"
        assert site.tls.certificates_dir == site.data_dir / "certs"
        made = tls_files(site.tls.certificates_dir, "edge").read()
    with open_site(protected) as site:
        assert tls_files(site.data_dir / "certs", "edge").read() == made


def test_certificates_that_cannot_be_kept_up_are_said(tmp_path: Path) -> None:
    certificates = TestCertificates(tmp_path / "d" / "certs")
    (certificates.folder / "authority" / "key.pem").unlink()
    protected = replace(wish(tmp_path / "d"), tls=True)
    with open_site(protected):
        pass  # none of them ends soon
    certificates.files("edge").cert_file.unlink()
    with pytest.raises(CommandFailed, match="bring its folder") as refused, open_site(protected):
        pass
    assert refused.value.code == ExitCode.CONFLICT


def test_a_data_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CommandFailed, match="cannot be used, because it or a folder above"),
        open_site(wish(tmp_path / "file" / "data")),
    ):
        pass


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CommandFailed, match="cannot be used, because it or a folder above"),
        open_site(wish(tmp_path / "file")),
    ):
        pass


def test_a_data_folder_that_cannot_be_written_is_refused() -> None:
    # nobody may write there, root neither
    with pytest.raises(CommandFailed, match="cannot be written"), open_site(wish(Path("/proc/x"))):
        pass


@pytest.mark.parametrize("name", ["logs", "media"])
def test_a_folder_inside_that_is_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(CommandFailed, match=f"{name} cannot be written"), open_site(wish(tmp_path)):
        pass


def test_a_lock_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "up.lock").mkdir()
    with (
        pytest.raises(CommandFailed, match=r"up\.lock cannot be written"),
        open_site(wish(tmp_path)),
    ):
        pass


def test_a_second_site_on_the_same_data_folder_is_refused(tmp_path: Path) -> None:
    with open_site(wish(tmp_path / "d")):
        with (
            pytest.raises(CommandFailed, match=f"process {os.getpid()}") as refused,
            open_site(wish(tmp_path / "d")),
        ):
            pass
        assert refused.value.code == ExitCode.CONFLICT
    with open_site(wish(tmp_path / "d")):
        pass


def test_the_lock_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from cli.supervisor.site import *\n"
        "w = SiteWish(data_dir=Path(sys.argv[1]), host='127.0.0.1', http_port=0, media_root=None,"
        " pack_id='builtin')\n"
        "with open_site(w): os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", script, str(tmp_path / "d")], check=False)
    assert died.returncode == -9
    with open_site(wish(tmp_path / "d")):
        pass


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(CommandFailed, match=f"Port {port} on 127.0.0.1 is taken") as refused,
            open_site(wish(tmp_path / "d", http_port=port)),
        ):
            pass
    assert refused.value.code == ExitCode.CONFLICT


def test_a_host_of_somebody_else_is_refused() -> None:
    with pytest.raises(CommandFailed, match="is not an address of this machine"):
        listening_address("192.0.2.1", 0)


def test_a_media_folder_that_was_named_has_to_exist(tmp_path: Path) -> None:
    with (
        pytest.raises(CommandFailed, match=r"media folder .* does not exist") as refused,
        open_site(wish(tmp_path / "d", media_root=tmp_path / "films")),
    ):
        pass
    assert refused.value.code == ExitCode.USAGE


def test_the_runtime_folder_is_short_and_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    first = make_runtime_dir(tmp_path / "data")
    (first / "control_plane.sock").touch()
    again = make_runtime_dir(tmp_path / "data")
    try:
        assert first == again
        assert len(str(first)) < 60
        assert not (first / "control_plane.sock").exists()
    finally:
        for folder in (first / "tokens", first):
            folder.rmdir()


def test_a_runtime_folder_that_is_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "r"
    run.mkdir()
    monkeypatch.setattr("cli.supervisor.site._LONGEST_RUNTIME_DIR", 4096)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    made = make_runtime_dir(tmp_path / "data")
    assert made.parent == run
    (made / "tokens").rmdir()
    made.rmdir()
    made.symlink_to(tmp_path)
    with pytest.raises(CommandFailed, match="belongs to somebody else"):
        make_runtime_dir(tmp_path / "data")
