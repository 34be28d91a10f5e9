"""The certificates of a small site: an authority of its own, and what it signs."""
