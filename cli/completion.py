"""Completes the names of cameras, people and webhooks in a shell, by asking the site.

A completion that fails or is slow is worse than none: whatever is in the way, nothing is offered
and nothing is said. A name that a shell would take apart is offered as its id, with the name beside
it where the shell shows such a thing.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import typer

from cli.failures import CommandFailed

_ANSWER_WITHIN_S = 1.0
_MOST = 200
_WORD = re.compile(r"[\w.,+@%-]+")

Offer = tuple[str, str]


def complete_camera(context: typer.Context, incomplete: str) -> list[Offer]:
    """Return the cameras whose name or id begins so."""
    from cli.client.lookup import camera_names

    return offers(_ask(context, camera_names), incomplete)


def complete_person(context: typer.Context, incomplete: str) -> list[Offer]:
    """Return the people whose name or id begins so."""
    from cli.client.lookup import person_names

    return offers(_ask(context, person_names), incomplete)


def complete_webhook(context: typer.Context, incomplete: str) -> list[Offer]:
    """Return the webhooks whose name or id begins so."""
    from cli.client.webhooks import webhook_names

    return offers(_ask(context, webhook_names), incomplete)


def offers(names: dict[str, str], incomplete: str) -> list[Offer]:
    """Return what to offer of the names by id: word and explanation, by name."""
    found: list[Offer] = []
    for thing_id, name in sorted(names.items(), key=lambda pair: (pair[1].casefold(), pair[0])):
        twice = list(names.values()).count(name) > 1
        if not name.startswith(incomplete) and not thing_id.startswith(incomplete):
            continue
        plain = _WORD.fullmatch(name) and not twice and name.startswith(incomplete)
        found.append((name, thing_id) if plain else (thing_id, " ".join(name.split())))
        if len(found) == _MOST:
            break
    return found


def _ask(
    context: typer.Context, names: Callable[[Any], Awaitable[dict[str, str]]]
) -> dict[str, str]:
    import asyncio

    from cli.client.access import connected, find_access

    async def ask() -> dict[str, str]:
        access = find_access(context.params.get("server"), context.params.get("token_file"))
        async with asyncio.timeout(_ANSWER_WITHIN_S), connected(access) as channel:
            return await names(channel)

    with suppress(CommandFailed, TimeoutError, OSError):
        return asyncio.run(ask())
    return {}
