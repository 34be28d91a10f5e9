"""Fixtures of the worker's tests."""

from tests.support.packs import builtin_engine, builtin_pack, yunet_engine

__all__ = ["builtin_engine", "builtin_pack", "yunet_engine"]
