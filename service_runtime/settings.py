"""Settings: frozen dataclasses read once from the environment, with every problem told at once.

Settings are inert: reading them opens no file and probes no device. Field ``media_root`` comes from
``DFIP_MEDIA_ROOT``; a field with a default may be absent.
"""

import dataclasses
import os
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from service_runtime.secret import Secret

PREFIX = "DFIP_"

T = TypeVar("T")


class SettingsError(Exception):
    """Settings that are missing or wrong; the text names each one and what it should be."""


def load_settings(cls: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Read a frozen dataclass from the environment.

    Raises:
        SettingsError: One line for each variable that is missing or wrong.
    """
    source = os.environ if environ is None else environ
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in dataclasses.fields(typing.cast(Any, cls)):
        variable = PREFIX + field.name.upper()
        text = source.get(variable)
        if text is None or text == "":
            if _has_default(field):
                continue
            problems.append(f"{variable} is not set")
            continue
        try:
            values[field.name] = _parse(hints[field.name], text)
        except ValueError as error:
            problems.append(f"{variable} {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    return cls(**values)


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    return (
        field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    )


def _parse(kind: object, text: str) -> object:
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
    return _PARSERS[typing.cast(type, kind)](text)


def _parse_bool(text: str) -> bool:
    lowered = text.lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be 1 or 0")


def _parse_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number") from None


_PARSERS: dict[type, Callable[[str], object]] = {
    str: str,
    int: _parse_int,
    float: _parse_float,
    bool: _parse_bool,
    Path: Path,
    Secret: Secret,
}
