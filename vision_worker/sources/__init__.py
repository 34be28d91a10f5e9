"""Camera addresses and how each kind is opened safely."""
