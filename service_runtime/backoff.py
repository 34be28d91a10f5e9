"""How long to wait before trying again: exponential with full jitter.

Full jitter spreads a crowd that failed together over the whole interval, so that it does not come
back together (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

import random
from dataclasses import dataclass, field

_LARGEST_EXPONENT = 32  # 2**32 seconds is past every cap; keeps the power small


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits between attempts, in seconds, between 0 and a bound that doubles up to ``cap_s``."""

    initial_s: float = 1.0
    cap_s: float = 300.0
    rng: random.Random = field(default_factory=random.Random)

    def bound(self, attempt: int) -> float:
        """Return the longest wait after the ``attempt``-th failure in a row (1 is the first)."""
        exponent = min(max(attempt - 1, 0), _LARGEST_EXPONENT)
        return float(min(self.cap_s, self.initial_s * 2**exponent))

    def delay(self, attempt: int) -> float:
        """Draw the wait after the ``attempt``-th failure in a row."""
        return self.rng.uniform(0, self.bound(attempt))
