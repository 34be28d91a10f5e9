"""The two database engines: SQLite in the data directory, and PostgreSQL."""
