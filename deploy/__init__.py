"""What surrounds the services: how contracts are built, and the edge."""
