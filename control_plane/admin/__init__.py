"""What only administrators do: keys, how long things are kept, backups."""
