"""SQLAlchemy's compiled statements, kept for all tests rather than for each one's engines.

Every control plane that a test starts would compile the same hundred statements anew, which took a
quarter of the time of such a test. A process of the service has two engines for its whole life.
"""

from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_MOST = 3000


def share_compiled_statements() -> None:
    """Have engines of one dialect take from one cache what any of them compiled."""
    cache: LRUCache[object, object] = LRUCache(_MOST)
    # a statement is found by its dialect too; those of one kind are all made alike here. What is
    # replaced is declared as methods and an attribute, hence the three exceptions.
    DefaultDialect.__eq__ = _is_of_one_kind  # type: ignore[method-assign,assignment]
    DefaultDialect.__hash__ = _kind  # type: ignore[method-assign,assignment]
    Engine._compiled_cache = property(lambda _: cache, lambda *_: None)  # type: ignore[assignment]


def _is_of_one_kind(one: DefaultDialect, other: object) -> bool:
    return type(one) is type(other)


def _kind(dialect: DefaultDialect) -> int:
    return hash(type(dialect))
