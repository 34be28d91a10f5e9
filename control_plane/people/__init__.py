"""Known people: their records, their enrolled faces, and their erasure."""
