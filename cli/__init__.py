"""The `dfip` command: runs the mesh, and is a client of the same API as everyone."""
