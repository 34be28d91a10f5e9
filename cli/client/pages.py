"""Reads a list that comes in pages."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

LARGEST_PAGE: Final = 1000


async def all_pages(
    list_page: Callable[[Any], Awaitable[Any]],
    request: Any,  # noqa: ANN401 - any request with pages
    *,
    limit: int | None = None,
) -> list[Any]:
    """Return what a list has, page after page.

    Args:
        list_page: The call.
        request: What is asked for; its pages are set here.
        limit: At most so many; all without.
    """
    found: list[Any] = []
    while limit is None or len(found) < limit:
        request.page_size = LARGEST_PAGE if limit is None else min(limit - len(found), LARGEST_PAGE)
        page = await list_page(request)
        found.extend(page.data)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    return found
