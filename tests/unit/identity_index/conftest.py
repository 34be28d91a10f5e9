"""The builtin pack, for the tests that look at photographs."""

from tests.support.packs import builtin_engine, builtin_pack

__all__ = ["builtin_engine", "builtin_pack"]
