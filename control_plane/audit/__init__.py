"""Who did what: rows that nobody changes, removed by time alone."""
