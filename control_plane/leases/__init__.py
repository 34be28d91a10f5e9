"""Leases: which of several managers may act."""
