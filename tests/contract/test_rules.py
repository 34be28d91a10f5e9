"""Every RPC says who may call it, how, whether it may be repeated, and how large a request is."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from control_plane.bindings import SHOWING
from control_plane.tokens.tickets import ticket_places
from dfip.options.v1 import policy_pb2
from tests.contract.services import SERVICES

METHODS: list[Any] = [method for binding in SERVICES for method in binding.descriptor.methods]
REPEATED_BY_NOBODY = {
    "AcquireLease",
    "AddFace",
    "AddFaceFromSighting",
    "Connect",
    "CreateBackup",
    "CreateAlertRule",
    "CreateCamera",
    "CreatePerson",
    "CreateWatchList",
    "CreateWebhook",
    "GetSnapshot",
    "IssueToken",
    "IssueWorkerToken",
    "MergePersons",
    "RecordLook",
    "ReplayDelivery",
    "ReportTelemetry",
    "RestartWorker",
    "RetryCamera",
    "RotateKeys",
    "RotateSecret",
    "SendTest",
    "StreamLive",
    "StreamTelemetry",
}
"""What does more when it comes twice; creations bring a `request_id` for that, a report of
telemetry a `report_id`, and streams number what they bring. Each look at a camera is written down,
and it has been waited for a picture where there is none."""


def request_fields() -> Iterator[Any]:
    """Return every field that a caller can fill, our own messages all the way down."""
    seen = set()
    waiting = [method.input_type for method in METHODS]
    while waiting:
        message = waiting.pop()
        if message.full_name in seen or not message.full_name.startswith("dfip."):
            continue  # JSON objects and pictures are bounded where they are read
        seen.add(message.full_name)
        yield from message.fields
        waiting += [field.message_type for field in message.fields if field.message_type]


FIELDS = list(request_fields())


def rules_of_item(field: Any) -> Any:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return rules.repeated.items if field.is_repeated else rules


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_an_rpc_has_roles_a_rest_spelling_or_a_reason_and_says_whether_it_repeats(
    method: Any,
) -> None:
    options = method.GetOptions()
    policy = options.Extensions[policy_pb2.policy]
    assert policy.roles
    assert options.HasExtension(annotations_pb2.http) is not policy.grpc_only
    unknown = descriptor_pb2.MethodOptions.IDEMPOTENCY_UNKNOWN
    assert (options.idempotency_level == unknown) is (method.name in REPEATED_BY_NOBODY)


PEOPLE = {policy_pb2.ROLE_VIEWER, policy_pb2.ROLE_OPERATOR, policy_pb2.ROLE_ADMIN}
FACES_SHOWN = {"GetSightingImage", "GetSightingContext", "GetSnapshot", "StreamLive"}
"""What shows a picture of a face, or searches by one."""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_what_a_person_changes_and_each_look_at_a_face_leaves_a_trace(method: Any) -> None:
    options = method.GetOptions()
    policy = options.Extensions[policy_pb2.policy]
    reads = options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    if method.name in FACES_SHOWN and PEOPLE & set(policy.roles):
        assert policy.audit == policy_pb2.AUDIT_LOOK
    elif PEOPLE & set(policy.roles) and method.name != "ListAuditEntries":
        assert (policy.audit == policy_pb2.AUDIT_CHANGE) is not reads
    assert policy.audit != policy_pb2.AUDIT_UNSPECIFIED


def test_the_control_plane_makes_tickets_for_all_that_takes_them() -> None:
    everywhere = ticket_places(binding.descriptor for binding in SERVICES)
    assert everywhere == ticket_places(SHOWING)
    assert everywhere.keys() >= {"sighting_image", "events", "snapshot", "live"}


def test_every_list_in_a_request_is_bounded() -> None:
    lists = [field for field in FIELDS if field.is_repeated]
    assert len(lists) > 5
    unbounded = [
        field.full_name
        for field in lists
        if not field.GetOptions().Extensions[validate_pb2.field].repeated.HasField("max_items")
    ]
    assert unbounded == []


def test_every_text_and_all_bytes_in_a_request_are_bounded() -> None:
    texts = [field for field in FIELDS if field.type == FieldDescriptor.TYPE_STRING]
    blobs = [field for field in FIELDS if field.type == FieldDescriptor.TYPE_BYTES]
    assert len(texts) > 50
    assert len(blobs) > 2
    unbounded = [f.full_name for f in blobs if not rules_of_item(f).bytes.HasField("max_len")]
    for field in texts:
        rule = rules_of_item(field).string
        if not (rule.HasField("max_len") or getattr(rule, "in") or rule.uuid):
            unbounded.append(field.full_name)
    assert unbounded == []


def test_every_number_in_a_request_fits_into_a_database() -> None:
    kinds = {
        FieldDescriptor.TYPE_INT32: "int32", FieldDescriptor.TYPE_INT64: "int64",
        FieldDescriptor.TYPE_UINT32: "uint32", FieldDescriptor.TYPE_UINT64: "uint64",
    }  # fmt: skip
    numbers = [field for field in FIELDS if field.type in kinds]
    assert len(numbers) > 20
    # checked sample by sample, as fractions are
    one_by_one = {
        f"dfip.control_plane.v1.TelemetrySample.{name}"
        for name in ("occupancy", "entries", "exits")
    }
    unbounded = set()
    for field in numbers:
        rule = getattr(rules_of_item(field), kinds[field.type])
        signed = kinds[field.type].startswith("int")
        if not (rule.HasField("lte") or rule.HasField("lt")) or (
            signed and not (rule.HasField("gte") or rule.HasField("gt"))
        ):
            unbounded.add(field.full_name)
        elif rule.HasField("lte"):
            assert rule.lte < 2**31 or kinds[field.type].endswith("64"), field.full_name
            assert rule.lte < 2**63, field.full_name
    assert unbounded == one_by_one


WITHOUT_REQUEST_ID = {"CreateBackup"}
"""A second backup is refused while the first is made, and a backup more takes nothing away."""

WITHOUT_PAGES = {"ListBackups", "ListFaces"}
"""Lists of what there are few of: backups that an operator made, the faces of one person."""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_creations_updates_and_lists_follow_the_conventions(method: Any) -> None:
    asked = method.input_type.fields_by_name
    name = str(method.name)
    if name.startswith("Create") and name not in WITHOUT_REQUEST_ID:
        assert rules_of_item(asked["request_id"]).string.max_len == 64
    if name.startswith("Update"):
        assert rules_of_item(asked["etag"]).string.max_len == 64
        assert "etag" in method.output_type.fields_by_name["data"].message_type.fields_by_name
    if name.startswith("List"):
        assert ("page_token" in asked) is (name not in WITHOUT_PAGES)
    if "page_token" in asked:
        assert rules_of_item(asked["page_token"]).string.max_len == 2048
        assert rules_of_item(asked["page_size"]).uint32.lte == 1000


def test_every_fraction_in_a_request_is_a_number() -> None:
    # checked sample by sample, so that one does not cost its batch: tests/faults has it
    found: list[str] = []
    one_by_one = ["dfip.control_plane.v1.TelemetrySample.confidence"]
    for field in FIELDS:
        rule = {
            FieldDescriptor.TYPE_FLOAT: rules_of_item(field).float,
            FieldDescriptor.TYPE_DOUBLE: rules_of_item(field).double,
        }.get(field.type)
        if rule is not None and not (rule.finite or rule.HasField("lte")):
            found.append(field.full_name)
    assert found == one_by_one


def test_no_rules_are_looked_for_in_a_json_object_of_a_request() -> None:
    # it has none, and to walk a large one takes long in which nobody else is answered
    walked = [
        field.full_name
        for field in FIELDS
        if field.message_type is not None
        and field.message_type.full_name == "google.protobuf.Struct"
        and rules_of_item(field).ignore != validate_pb2.IGNORE_ALWAYS
    ]
    assert walked == []
