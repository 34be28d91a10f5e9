"""Made-up requests over the whole REST surface: refused as JSON, and never an error of ours.

Made from the contracts (``tests/support/rest_requests.py``), so a new RPC is asked for by itself;
it is the real control plane behind a real Envoy that answers. ``bench/rest.py`` asks for more.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.rest_requests import RestRequest, rest_requests
from tests.support.rest_site import RestSite, running_rest_site

REQUESTS = 500


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, RestSite]]:
    folder = tmp_path_factory.mktemp("surface")
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        site = runner.run(stack.enter_async_context(running_rest_site(folder)))
        yield runner, site
        runner.run(stack.aclose())


@settings(
    max_examples=REQUESTS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(request=rest_requests())
def test_no_request_breaks_anything(
    running: tuple[asyncio.Runner, RestSite], request: RestRequest
) -> None:
    runner, site = running
    runner.run(site.send(request))


def test_the_requests_were_of_every_kind(running: tuple[asyncio.Runner, RestSite]) -> None:
    _, site = running
    assert {200, 201, 400, 401, 403, 404, 405} <= site.statuses.keys()
    assert site.statuses[200] + site.statuses[201] > REQUESTS / 20
