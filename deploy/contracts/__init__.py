"""Builds the contracts; run as ``python -m deploy.contracts``."""
