"""Bounds that client and server must agree on."""

from typing import Final

DEFAULT_MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024

PICTURE_MAX_MESSAGE_BYTES: Final = 12 * 1024 * 1024
"""For the services that take photographs of up to 10 MiB, with room for what is around them."""

KEEPALIVE_MS: Final = 20_000
KEEPALIVE_TIMEOUT_MS: Final = 10_000

HANDSHAKE_MS: Final = 10_000
"""What a client has to show who it is; one that says nothing holds a connection for no longer."""

CONNECTION_AGE_MS: Final = 3_600_000
"""After this a client is asked to connect again, so that it meets new certificates and replicas."""

CONNECTION_AGE_GRACE_MS: Final = 60_000
"""What its calls have to end by themselves; streams of the mesh are made to be opened again."""
