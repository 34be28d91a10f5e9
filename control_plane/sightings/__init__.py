"""Who was seen: what workers report, kept exactly once, and read by clients."""
