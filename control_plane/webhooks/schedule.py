"""What an attempt means: delivered, tried again and when, or given up. Pure.

Waits grow fourfold from 5 seconds to 8 hours with a fifth of jitter, ten attempts over about a day:
0, 5 s, 25 s, 2 min, 7 min, 28 min, 2 h, 8 h, 16 h, 24 h after the first. A receiver that asks for
more time (``Retry-After``, RFC 9110, section 10.2.3) gets it, up to the longest wait.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

ATTEMPTS: Final = 10
FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 8 * 3600.0
_FACTOR: Final = 4
_JITTER: Final = 0.2
_GONE: Final = 410
# these speak for the whole receiver, not for one delivery
_RESTING: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt ended.

    Attributes:
        status: What the receiver answered; None where it answered nothing.
        retry_after_s: How long it asked to be left alone.
        failure: Why there was no answer; empty where there was one.
        final: Trying again cannot help.
    """

    status: int | None = None
    retry_after_s: float | None = None
    failure: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows from an attempt.

    Attributes:
        state: ``pending``, ``delivered`` or ``dead``.
        failure_reason: In a word; empty when delivered.
        wait_s: Until the next attempt, while pending.
        rest_s: How long the whole receiver is left alone; 0 where it is not.
        disables: The receiver wants nothing any more.
    """

    state: str
    failure_reason: str = ""
    wait_s: float = 0.0
    rest_s: float = 0.0
    disables: bool = False


def judge(attempt: Attempt, *, failures: int, rng: random.Random) -> Verdict:
    """Return what follows from an attempt.

    Args:
        attempt: The attempt.
        failures: Attempts that failed before it, since the delivery was queued or replayed.
        rng: Draws the jitter.
    """
    status = attempt.status
    if status is not None and 200 <= status < 300:
        return Verdict(state="delivered")
    if status == _GONE:
        return Verdict(state="dead", failure_reason="gone", disables=True)
    reason = _reason(attempt)
    asked_s = min(attempt.retry_after_s or 0.0, LONGEST_WAIT_S)
    rest_s = asked_s if status in _RESTING else 0.0
    if attempt.final or failures + 1 >= ATTEMPTS:
        return Verdict(state="dead", failure_reason=reason, rest_s=rest_s)
    wait_s = max(wait_after(failures + 1) * rng.uniform(1 - _JITTER, 1 + _JITTER), asked_s)
    return Verdict(state="pending", failure_reason=reason, wait_s=wait_s, rest_s=rest_s)


def wait_after(failures: int) -> float:
    """Return the seconds to wait after this many failures (1 is the first), before jitter."""
    return float(min(FIRST_WAIT_S * _FACTOR ** (failures - 1), LONGEST_WAIT_S))


def retry_after_s(value: str, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; None where it says nothing."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return max((moment - now) / timedelta(seconds=1), 0.0)
    except OverflowError:
        return None


def _reason(attempt: Attempt) -> str:
    if attempt.status is None:
        return attempt.failure
    return "redirected" if 300 <= attempt.status < 400 else "status"
