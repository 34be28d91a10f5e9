"""Where workers get their assignment and leave their reports."""
