"""Has the control plane write down who looked at what, before anything is shown.

The manager has no database. Looks at cameras stand in the one audit of the site, beside those at
the pictures of sightings; while the control plane cannot write them down, nobody looks. What people
change here, and whom it refuses, stays with the log and the metrics.
"""

from typing import Any

import grpc

from dfip.control_plane.v1 import audit_pb2, audit_service_pb2
from service_runtime.audit import AuditedCall, LoggedTrail
from service_runtime.authentication import role_name
from service_runtime.errors import Unavailable


class LookRecords(LoggedTrail):
    """The trail of the manager.

    Args:
        stub: AuditServiceStub, or what answers like one.
    """

    def __init__(self, stub: Any) -> None:  # noqa: ANN401 generated stubs carry no types
        self._stub = stub

    async def looked(self, call: AuditedCall) -> None:
        """Have a look written down.

        Raises:
            Unavailable: ``AUDIT_NOT_REACHED``: it could not be, so nothing is shown.
        """
        await super().looked(call)
        request = audit_service_pb2.RecordLookRequest(
            action=call.action,
            actor=call.caller.subject[:200],
            role=role_name(call.caller.role),
            token_id=call.caller.token_id[:200],
            objects=[audit_pb2.AuditObject(kind=one.kind, id=one.id) for one in call.objects],
            fields=call.fields,
            request_id=call.request_id[:64],
            client_address=call.client_address,
        )
        try:
            await self._stub.RecordLook(request, timeout=5.0)
        except grpc.aio.AioRpcError:
            raise Unavailable(
                "AUDIT_NOT_REACHED",
                "Who looks at a camera is written down first, and that cannot be done now; "
                "try again in a moment.",
            ) from None
