"""Backups: a consistent copy of the database and its pictures, and the way back."""
