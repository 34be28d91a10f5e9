"""Find faces and their five points in a picture; `engine.py` picks the one of its pack."""
