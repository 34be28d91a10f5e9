"""Keeps one living worker for every camera that shall run, and none for any other.

The controller of the mesh. It knows cameras by id, epochs and workers; it knows neither faces nor
connection strings, and it owns no database: all it knows comes from the control plane by
list-then-watch, and from looking at the workers that live.

The flow: `camera_watch` (what is wanted) and `runtimes` (what lives) wake `work_queue`, whose keys
`reconciler` takes one by one; `plan` decides, purely; the reconciler acts, and `runtime_reports`
writes what is seen. `assembly` wires it; `servicer` answers people.
"""
