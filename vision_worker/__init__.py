"""The room that turns a camera's stream into sightings."""
