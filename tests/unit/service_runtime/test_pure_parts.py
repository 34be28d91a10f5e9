"""Settings, secrets, redaction, tokens of pages and feeds, backoff, clock."""

import asyncio
import json
import pickle
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_runtime.backoff import Backoff
from service_runtime.errors import InvalidArgument, NotFound
from service_runtime.identifiers import new_id, parse_id
from service_runtime.pagination import decode_page_token, encode_page_token
from service_runtime.redaction import redact_json, redact_text, scheme_only
from service_runtime.resume_tokens import ResumeToken
from service_runtime.secret import Secret
from service_runtime.settings import SettingsError, load_settings
from service_runtime.structured_logging import get_logger
from tests.support.virtual_clock import VirtualClock, settle

SOME_ID = "1b4e28ba-2fa1-41d4-883f-0016d3cca427"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    media_root: Path
    workers: int
    password: Secret
    verbose: bool = False
    ratio: float | None = None


def test_settings_come_from_the_environment() -> None:
    environ = {
        "DFIP_MEDIA_ROOT": "/media",
        "DFIP_WORKERS": "3",
        "DFIP_PASSWORD": "hunter2",
        "DFIP_VERBOSE": "1",
        "DFIP_RATIO": "0.5",
    }
    settings = load_settings(Example, environ)
    assert settings == Example(
        media_root=Path("/media"), workers=3, password=Secret("hunter2"), verbose=True, ratio=0.5
    )
    assert "hunter2" not in repr(settings)


def test_every_problem_is_told_at_once_and_no_value_with_it() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(Example, {"DFIP_WORKERS": "hunter2", "DFIP_VERBOSE": "maybe"})
    told = str(caught.value)
    for part in (
        "DFIP_MEDIA_ROOT is not set", "DFIP_PASSWORD is not set",
        "DFIP_WORKERS must be a whole number", "DFIP_VERBOSE must be 1 or 0",
    ):  # fmt: skip
        assert part in told
    assert "hunter2" not in told


def test_a_secret_gives_itself_away_to_nobody_but_reveal() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {secret:>20} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
    assert secret != "hunter2"


_word = st.text(
    st.characters(
        blacklist_categories=("Cs", "Zs", "Zl", "Zp", "Cc"), blacklist_characters="\"'<>"
    ),
    min_size=1,
)


@given(user=_word, password=_word.map(lambda text: f"pw{text}canary"))
def test_no_credentials_of_a_url_survive_redaction(user: str, password: str) -> None:
    for url in (
        f"rtsp://{user}:{password}@10.0.0.5:554/stream",
        f"http://10.0.0.5/video?user={user.replace('&', '')}&password={password.replace('&', '')}",
    ):
        assert "canary" not in redact_text(f"cannot open '{url}': timed out")


def test_json_keeps_its_shape_and_loses_its_secrets() -> None:
    said = {"tried": [{"rtsp://u:canary@h/": 1}], "error": "no rtsp://u:canary@h/", "fps": 2.5}
    shown = {"tried": [{"rtsp://***@h/": 1}], "error": "no rtsp://***@h/", "fps": 2.5}
    assert redact_json(said) == shown


def test_redaction_leaves_the_rest_alone() -> None:
    assert redact_text("camera 7 at 10.0.0.5:554 refused") == "camera 7 at 10.0.0.5:554 refused"
    assert redact_text("Authorization: Bearer abc.def") == "Authorization: Bearer ***"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:p@h/s", "rtsp://..."),
        ("RTSPS://h", "rtsps://..."),
        ("hunter2", "..."),
        ("hunter 2://x", "..."),
        ("", "..."),
    ],
)
def test_scheme_only(url: str, shown: str) -> None:
    assert scheme_only(url) == shown


def test_log_lines_hold_no_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    hidden_local = "rtsp://admin:hunter2@10.0.0.1/s"
    try:
        raise OSError(f"cannot open {hidden_local}")
    except OSError as error:
        get_logger(__name__).error(
            "source.failed", url=hidden_local, nested={"a": [hidden_local]}, exc_info=error
        )
    line = capsys.readouterr().err
    assert "hunter2" not in line
    assert json.loads(line)["event"] == "source.failed"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.integers(0, 2**63))
def test_resume_tokens_come_back_as_they_were(feed: str, sequence: int) -> None:
    token = ResumeToken(feed_id=feed[:50], sequence=sequence)
    assert ResumeToken.decode(token.encode()) == token


@given(st.text())
def test_no_text_is_a_resume_token_by_chance(text: str) -> None:
    with pytest.raises(InvalidArgument):
        ResumeToken.decode(text)


def test_a_page_token_belongs_to_its_filter() -> None:
    token = encode_page_token({"camera_id": "a"}, ["2026", "id"])
    assert decode_page_token(token, {"camera_id": "a"}, key_length=2) == ["2026", "id"]
    for wrong in ({"camera_id": "b"}, {}):
        with pytest.raises(InvalidArgument):
            decode_page_token(token, wrong, key_length=2)
    with pytest.raises(InvalidArgument):
        decode_page_token(token, {"camera_id": "a"}, key_length=1)


@pytest.mark.parametrize("text", ["", "runtime", "../x", SOME_ID + "x", SOME_ID[:-1] + "g"])
def test_what_is_no_uuid_is_nobodys_id(text: str) -> None:
    with pytest.raises(NotFound) as caught:
        parse_id(text, noun="camera")
    assert caught.value.reason == "CAMERA_NOT_FOUND"


def test_ids_are_the_same_in_any_case() -> None:
    identifier = new_id()
    assert parse_id(identifier.upper(), noun="camera") == identifier


@given(attempt=st.integers(0, 10_000), seed=st.integers())
def test_backoff_stays_within_its_doubling_bound(attempt: int, seed: int) -> None:
    backoff = Backoff(initial_s=1, cap_s=300, rng=random.Random(seed))
    assert 0 <= backoff.delay(attempt) <= backoff.bound(attempt) <= 300
    assert backoff.bound(attempt + 1) >= backoff.bound(attempt)


async def test_the_virtual_clock_wakes_sleepers_in_order() -> None:
    clock = VirtualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("late", 5), ("early", 1))]
    await clock.advance(0.5)
    assert woken == []
    await clock.advance(10)
    await settle()
    assert woken == [("early", 1.0), ("late", 5.0)]
    await asyncio.gather(*tasks)
