"""The brain of the mesh and the only owner of its database: cameras, people, sightings, events."""
