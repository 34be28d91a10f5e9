"""From a track to a sighting: the best shots, who it is, and the evidence."""
