"""Pictures: crops and portraits, kept as files apart from the database."""
