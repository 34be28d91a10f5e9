"""Runs the migrations on the connection that ``control_plane.schema.migrate`` brings.

There is no ``alembic.ini`` and no way to run this against a database from outside: the control
plane is the only owner of its database and migrates it when it starts.
"""

from alembic import context

from control_plane.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    # the caller's transaction holds all revisions: all of them or none
    transactional_ddl=True,
)
context.run_migrations()
