"""Reads from the contracts themselves what the edge has to know of each RPC.

Everything Envoy routes, limits and transcodes follows from the descriptors in `dfip`: which RPCs
have a REST spelling, which of them stream, which may be repeated. So a new RPC, or a new service,
reaches the edge without a change here. `deploy.envoy.routes` turns the values into routes, and the
descriptor set is what Envoy's transcoder reads.
"""

import importlib
import pkgutil
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2, http_pb2, httpbody_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.rpc import error_details_pb2, status_pb2

from dfip.options.v1 import policy_pb2

_VERBS = ("get", "put", "post", "delete", "patch")
_HTTP_BODY = httpbody_pb2.HttpBody.DESCRIPTOR.full_name
_CREATING = re.compile(r"(Create|Add|Issue)[A-Z]")
_FINITE = re.compile(r"List[A-Z]")
_REPEATABLE = (
    descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
    descriptor_pb2.MethodOptions.IDEMPOTENT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestBinding:
    """One REST spelling of an RPC: an HTTP method and a path template of `google.api.http`."""

    verb: str
    template: str

    @property
    def custom_verb(self) -> str:
        """What stands behind the colon of `/cameras/{camera_id}:retry`, else nothing."""
        return self.template.rpartition("/")[2].partition(":")[2]

    @property
    def on_collection(self) -> bool:
        """Whether it names all things of a kind, and no one of them."""
        return not self.template.rpartition("/")[2].startswith("{")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeMethod:
    """An RPC as the edge sees it; `cluster` is where its service is."""

    room: str
    cluster: str
    service: str
    name: str
    bindings: tuple[RestBinding, ...]
    client_streaming: bool
    server_streaming: bool
    repeatable: bool
    raw_request: bool
    raw_response: bool
    takes_tickets: bool
    idle_s: int

    @property
    def grpc_path(self) -> str:
        """Path of the RPC in gRPC, such as `/dfip.control_plane.v1.EventService/WatchEvents`."""
        return f"/{self.service}/{self.name}"

    @property
    def endless(self) -> bool:
        """Whether the RPC lasts until somebody hangs up; a streamed list does not."""
        return self.client_streaming or (self.server_streaming and not _FINITE.match(self.name))

    def creates(self, binding: RestBinding) -> bool:
        """Whether REST answers this spelling with 201: a POST that makes a thing of its own.

        `/cameras/{camera_id}:copy` does something to a thing; `/cameras:from-file` adds to a
        collection.
        """
        adds = not binding.custom_verb or binding.on_collection
        return binding.verb == "POST" and adds and bool(_CREATING.match(self.name))


def edge_methods(rooms: Iterable[str], apart: Collection[str] = ()) -> list[EdgeMethod]:
    """List every RPC of the services in the proto packages `dfip.<room>.v1`.

    `apart` names the services that are a cluster of their own; the others' cluster is their room.

    Raises:
        ModuleNotFoundError: a room has no contracts.
    """
    return [
        _edge_method(room, method, apart)
        for room in sorted(rooms)
        for file in _service_files(room)
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def descriptor_set(rooms: Iterable[str]) -> bytes:
    """Serialise a `FileDescriptorSet` of the rooms' services with all they import.

    The standard error details are in it too: without them the transcoder cannot print the details
    of a status.
    """
    files: dict[str, FileDescriptor] = {}
    roots = [file for room in sorted(rooms) for file in _service_files(room)]
    for root in [*roots, error_details_pb2.DESCRIPTOR, status_pb2.DESCRIPTOR]:
        _collect(root, files)
    found = descriptor_pb2.FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(found.file.add())
    return found.SerializeToString(deterministic=True)


def _service_files(room: str) -> Iterator[FileDescriptor]:
    package = importlib.import_module(f"dfip.{room}.v1")
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        if module.name.endswith("_pb2"):
            generated = importlib.import_module(f"{package.__name__}.{module.name}")
            file: FileDescriptor = generated.DESCRIPTOR
            if file.services_by_name:
                yield file


def _collect(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    """Add a file behind the files that it imports: a reader wants them in this order."""
    if file.name not in files:
        for imported in file.dependencies:
            _collect(imported, files)
        files[file.name] = file


def _edge_method(room: str, method: MethodDescriptor, apart: Collection[str]) -> EdgeMethod:
    options: Any = method.GetOptions()  # the generated types do not know extensions
    service = method.containing_service.full_name
    rule = options.Extensions[annotations_pb2.http]
    bindings = tuple(_bindings(rule)) if options.HasExtension(annotations_pb2.http) else ()
    return EdgeMethod(
        room=room,
        cluster=service if service in apart else room,
        service=service,
        name=method.name,
        bindings=bindings,
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
        repeatable=options.idempotency_level in _REPEATABLE,
        raw_request=_takes_raw_body(method, rule),
        raw_response=method.output_type.full_name == _HTTP_BODY,
        takes_tickets=options.Extensions[policy_pb2.policy].HasField("ticket"),
        idle_s=options.Extensions[policy_pb2.policy].idle_s,
    )


def _bindings(rule: http_pb2.HttpRule) -> Iterator[RestBinding]:
    verb = rule.WhichOneof("pattern")
    if verb not in _VERBS:
        raise ValueError(f"The edge cannot serve the HTTP rule {rule}: use one of {_VERBS}.")
    yield RestBinding(verb=verb.upper(), template=getattr(rule, verb))
    for more in rule.additional_bindings:
        yield from _bindings(more)


def _takes_raw_body(method: MethodDescriptor, rule: http_pb2.HttpRule) -> bool:
    field = method.input_type.fields_by_name.get(rule.body)
    target = field.message_type if field is not None else None
    return target is not None and target.full_name == _HTTP_BODY
