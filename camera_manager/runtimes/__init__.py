"""Where workers live: `port` says what the reconciler needs of a place, `process` is one."""
