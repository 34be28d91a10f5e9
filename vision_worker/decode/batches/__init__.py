"""Decoding in batches of all cameras, where models run on a GPU."""
