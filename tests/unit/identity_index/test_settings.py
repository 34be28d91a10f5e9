"""Settings come from the environment, with every problem told at once."""

from pathlib import Path

import pytest

from identity_index.settings import Settings
from service_runtime.settings import SettingsError, load_settings

ENVIRON = {
    "DFIP_LISTEN": "127.0.0.1:0",
    "DFIP_JWKS_FILE": "/run/jwks.json",
    "DFIP_TOKEN_FILE": "/run/index.token",
    "DFIP_CONTROL_PLANE_TARGET": "unix:/run/cp.sock",
}


def test_defaults() -> None:
    settings = load_settings(Settings, ENVIRON)
    assert settings.jwks_file == Path("/run/jwks.json")
    assert (settings.pack, settings.search_threads, settings.reflection) == ("builtin", 1, False)


def test_everything_missing_is_named() -> None:
    with pytest.raises(SettingsError) as told:
        load_settings(Settings, {})
    for name in ENVIRON:
        assert name in str(told.value)


@pytest.mark.parametrize("name", ["DFIP_SEARCH_THREADS", "DFIP_ANALYSIS_THREADS"])
@pytest.mark.parametrize("value", ["0", "-1", "1000"])
def test_threads_are_bounded(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be 1 to 256"):
        load_settings(Settings, ENVIRON | {name: value})
