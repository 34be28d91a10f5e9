"""What a check of the doctor finds: a verdict, a sentence, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line.

    Attributes:
        check: what was looked at.
        remedy: what to do; empty where it is `ok`.
    """

    check: str
    verdict: Verdict
    told: str
    remedy: str = ""


def ok(check: str, told: str) -> Finding:
    """Return that it is as it should be."""
    return Finding(check=check, verdict="ok", told=told)


def warn(check: str, told: str, remedy: str) -> Finding:
    """Return that the site runs, but something is not as it should be."""
    return Finding(check=check, verdict="warn", told=told, remedy=remedy)


def fail(check: str, told: str, remedy: str) -> Finding:
    """Return that the site cannot run, or not safely."""
    return Finding(check=check, verdict="fail", told=told, remedy=remedy)
