"""Made-up requests over the whole REST surface, through a real Envoy to a real control plane.

    python -m bench.rest [--requests N] [--seed N]

Prints one JSON document: how many requests were answered how, how long answers took, and what was
wrong with any. hypothesis makes the requests from the contracts (``tests/support/rest_requests``);
a request is wrong that is answered by a 5xx, not at all within 10 s, with a traceback, with a
camera's password or another secret, or with an error that is no JSON (``tests/support/rest_site``).
The first wrong one ends the run, is made as small as it can be, and printed; the status is 1 then.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from service_runtime.structured_logging import configure_logging
from tests.support.rest_requests import RestRequest, rest_requests
from tests.support.rest_site import RestSite, running_rest_site

_REQUESTS = 10_000


def main() -> int:
    """Send them and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.rest", description=__doc__)
    parser.add_argument("--requests", type=int, default=_REQUESTS)
    parser.add_argument("--seed", type=int, default=1, help="decides the requests (default 1)")
    asked = parser.parse_args()
    configure_logging("bench", level="critical")
    with tempfile.TemporaryDirectory(prefix="dfip-bench-") as folder, asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        site = runner.run(stack.enter_async_context(running_rest_site(Path(folder))))
        started = time.perf_counter()
        wrong = flood(runner, site, asked.requests, asked.seed)
        figures = figures_of(site, time.perf_counter() - started)
        runner.run(stack.aclose())
    document = {
        "benchmark": "rest",
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "seed": asked.seed,
        **figures,
        "wrong": wrong,
    }
    print(json.dumps(document, indent=2))
    return int(bool(wrong))


def flood(runner: asyncio.Runner, site: RestSite, requests: int, number: int) -> list[str]:
    """Send requests one after the other; return what was wrong, empty where nothing was."""

    @seed(number)
    @settings(
        max_examples=requests,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(request=rest_requests())
    def send(request: RestRequest) -> None:
        runner.run(site.send(request))

    try:
        send()
    except AssertionError as error:
        return [str(error)]
    except BaseExceptionGroup as several:
        return [str(error) for error in several.exceptions]
    return []


def figures_of(site: RestSite, seconds: float) -> dict[str, Any]:
    """Return the figures of all that was answered."""
    places = statistics.quantiles(site.seconds, n=100)
    return {
        "requests": len(site.seconds),
        "statuses": {str(status): count for status, count in sorted(site.statuses.items())},
        "server_errors": sum(n for status, n in site.statuses.items() if status >= 500),
        "p50_ms": round(places[49] * 1000, 1),
        "p99_ms": round(places[98] * 1000, 1),
        "slowest_ms": round(max(site.seconds) * 1000, 1),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
