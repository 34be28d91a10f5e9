"""Keys: the master key's file, the data keys that it wraps, the keys that sign tokens."""
