"""Between what the control plane knows and what administrators are told."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.keys.keeper import KeyStatus
from dfip.control_plane.v1 import admin_service_pb2 as pb


def key_status_to_proto(status: KeyStatus) -> pb.KeyStatus:
    """Return the contract's status; no key material is in either."""
    return pb.KeyStatus(
        master_key_id=status.master_id,
        data_keys=[
            pb.DataKey(id=key.id, state=key.state, made_at=_timestamp(key.made_at), values=count)
            for key, count in status.data_keys
        ],
        signing_keys=[
            pb.SigningKey(
                id=row.id,
                state=row.state,
                made_at=_timestamp(row.made_at),
                ends_at=_timestamp(row.ends_at) if row.ends_at is not None else None,
            )
            for row in status.signing_keys
        ],
        sealed_values=status.values,
        older_values=status.older_values,
    )


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
