"""What `dfip retention …` does."""

from collections.abc import Mapping

from google.protobuf import json_format

from cli.client.access import Access, connected
from cli.client.times import full_time
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import admin_service_pb2 as pb
from dfip.control_plane.v1 import admin_service_pb2_grpc

_COLUMNS: tuple[Column[pb.RetentionPolicy], ...] = (
    Column(title="events", value=lambda policy: f"{policy.event_days:g}"),
    Column(title="sightings", value=lambda policy: f"{policy.sighting_days:g}"),
    Column(title="telemetry", value=lambda policy: f"{policy.telemetry_days:g}"),
    Column(title="alerts", value=lambda policy: f"{policy.alert_days:g}"),
    Column(title="webhooks", value=lambda policy: f"{policy.webhook_days:g}"),
    Column(title="audit", value=lambda policy: f"{policy.audit_days:g}"),
    Column(
        title="set",
        value=lambda policy: full_time(policy.changed_at) if policy.HasField("changed_at") else "",
    ),
)


async def show_retention(access: Access, output: Output) -> None:
    """Print for how many days things are kept."""
    async with connected(access) as channel:
        answer = await admin_service_pb2_grpc.AdminServiceStub(channel).GetRetentionPolicy(
            pb.GetRetentionPolicyRequest()
        )
    output.record(answer.data, _COLUMNS)


async def set_retention(
    access: Access, output: Output, talk: Talk, *, days: Mapping[str, float], now: bool
) -> None:
    """Set some of the days and print all of them."""
    async with connected(access) as channel:
        answer = await admin_service_pb2_grpc.AdminServiceStub(channel).SetRetentionPolicy(
            json_format.ParseDict({**days, "run_now": now}, pb.SetRetentionPolicyRequest())
        )
    output.record(answer.data, _COLUMNS)
    talk.say(f"What is older goes {'now' if now else 'within the hour'}.")
