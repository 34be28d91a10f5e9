"""`dfip demo`: from nothing to a first sighting, and the clip it needs."""
