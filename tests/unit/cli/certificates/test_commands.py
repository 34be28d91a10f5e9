"""`dfip certs` as it is typed, and what the doctor says of what it made."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.__main__ import run
from cli.certificates.authority import SERVICES, sign
from cli.doctor.machine import check_certificates
from cli.failures import ExitCode
from tests.support.certificates import TestCertificates

Captured = pytest.CaptureFixture[str]


def listed(captured: Captured) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in json.loads(captured.readouterr().out)}


def test_certificates_are_made_shown_and_renewed(tmp_path: Path, capsys: Captured) -> None:
    place = str(tmp_path / "certs")
    assert (
        run(["certs", "init", "--dir", place, "--days", "40", "--host", "a.example", "-o", "json"])
        == 0
    )
    made = listed(capsys)
    assert made.keys() == {"authority", *SERVICES}
    assert made["edge"]["names"] == ["edge.dfip", "a.example"]
    assert made["edge"]["days_left"] in {39, 40}
    assert run(["certs", "renew", "--dir", place, "--within", "30", "-o", "json"]) == 0
    assert listed(capsys)["edge"]["expires_at"] == made["edge"]["expires_at"]
    assert run(["certs", "renew", "edge", "--dir", place, "--days", "90", "-o", "json"]) == 0
    renewed = listed(capsys)
    assert renewed["edge"]["days_left"] in {89, 90}
    assert renewed["edge"]["names"] == ["edge.dfip", "a.example"]
    # what is left of it falls by a day while this test runs, once in a while
    assert renewed["camera_manager"]["expires_at"] == made["camera_manager"]["expires_at"]
    assert run(["certs", "show", "--dir", place]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [[name, "good"] for name in ("authority", *SERVICES)]
    assert "PRIVATE" not in str(made) + str(rows)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["init"], ExitCode.CONFLICT),
        (["renew", "nobody"], ExitCode.USAGE),
        (["renew", "--host", "edge.dfip"], ExitCode.CONFLICT),
        (["renew", "--days", "826"], ExitCode.USAGE),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, capsys: Captured, arguments: list[str], code: ExitCode
) -> None:
    TestCertificates(tmp_path / "certs")
    assert run(["certs", *arguments, "--dir", str(tmp_path / "certs")]) == code
    assert capsys.readouterr().err


def test_one_that_has_ended_ends_the_command_with_1(tmp_path: Path, capsys: Captured) -> None:
    site = TestCertificates(tmp_path / "certs")
    site.expire("edge")
    assert run(["certs", "show", "--dir", str(site.folder)]) == 1
    out, err = capsys.readouterr()
    assert "edge\tended" in out
    assert "dfip certs renew" in err
    assert run(["certs", "show", "--dir", str(tmp_path)]) == ExitCode.CONFLICT


def test_the_doctor_warns_two_weeks_before(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert check_certificates(tmp_path / "none", now).verdict == "ok"
    site = TestCertificates(tmp_path / "certs")
    assert check_certificates(site.folder, now).verdict == "ok"
    sign(site.folder, "edge", now=now, days=13)
    warned = check_certificates(site.folder, now)
    assert (warned.verdict, warned.told) == ("warn", "edge end within 13 days")
    failed = check_certificates(site.folder, now + timedelta(days=13))
    assert (failed.verdict, failed.told) == ("fail", "ended: edge")
    assert "dfip certs renew" in failed.remedy
