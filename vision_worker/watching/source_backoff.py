"""How long a camera that cannot be read is left alone. Pure.

Most failures pass: the wait doubles from a second to five minutes, with full jitter. A wrong
password, a wrong path or a foreign codec does not mend itself, and a camera locks out who keeps
knocking, so these wait up to half an hour. Ten minutes of health forget the past.
"""

import random
from dataclasses import dataclass, field

from service_runtime.backoff import Backoff

HEALTHY_AFTER_S = 600.0
_LASTING = frozenset({"unauthorized", "not_found", "unsupported_codec", "forbidden_address"})


@dataclass(slots=True, kw_only=True)
class SourceBackoff:
    """Counts the failures of one source in a row, and draws the waits."""

    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def failed(self, reason: str, *, healthy_s: float) -> float:
        """Note a failure after ``healthy_s`` seconds with frames; return the wait in seconds."""
        self.failures = 1 if healthy_s >= HEALTHY_AFTER_S else self.failures + 1
        if reason in _LASTING:
            return Backoff(initial_s=5.0, cap_s=1800.0, rng=self.rng).delay(self.failures)
        return Backoff(initial_s=1.0, cap_s=300.0, rng=self.rng).delay(self.failures)

    def reset(self) -> None:
        """Forget the past: the source's address changed, or somebody asked to retry at once."""
        self.failures = 0
