"""The camera registry: what is wanted of each camera."""
