"""Looks whether a site can run on this machine, and how the one that runs is."""
