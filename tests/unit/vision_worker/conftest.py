"""Fixtures of the worker's tests."""

from tests.support.packs import builtin_engine, builtin_pack

__all__ = ["builtin_engine", "builtin_pack"]
