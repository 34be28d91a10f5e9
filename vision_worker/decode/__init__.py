"""From an opened source to sampled RGB frames, in a thread of its own."""
