"""Which detections of successive frames are one face."""
