"""Media tickets: what ``?ticket=`` may be, for the one thing that its caller may see.

The contracts say which RPCs take tickets and which field of the request names the object. Whether
that is there for the caller, the same functions decide that answer the RPC itself
(``control_plane.access``), now and again when the ticket comes. Tickets are kept nowhere: they end
by themselves, and with the token of whoever asked for them (``service_runtime.media_tickets``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from google.api import annotations_pb2
from google.protobuf.descriptor import ServiceDescriptor

from control_plane.access import require_camera, require_sighting
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database
from control_plane.runtime.store import camera_not_found
from control_plane.sightings.model import sighting_id_of, sighting_not_found
from control_plane.sightings.tables import SightingRow
from control_plane.tokens.issuer import TokenIssuer
from service_runtime.authentication import Caller, Ticket
from service_runtime.errors import FieldViolation, InvalidArgument
from service_runtime.media_tickets import PARAMETER, ticket_claims
from service_runtime.method_policy import TicketRule, read_rules
from service_runtime.secret import Secret

_CAMERA, _SIGHTING = "camera_id", "sighting_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketPlace:
    """Where tickets of a purpose are taken: the path of the RPC, and the field of the object."""

    template: str
    rule: TicketRule

    @property
    def needs_object(self) -> bool:
        """Whether the path is one object's; else the object only narrows what is shown."""
        return self._variable in self.template

    def url(self, object_id: str, ticket: Secret) -> Secret:
        """Return the path with the ticket in its query."""
        query = {PARAMETER: ticket.reveal()}
        if object_id and not self.needs_object:
            query = {self.rule.object: object_id} | query
        return Secret(f"{self.template.replace(self._variable, object_id)}?{urlencode(query)}")

    @property
    def _variable(self) -> str:
        return f"{{{self.rule.object}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTicket:
    """A ticket, to be told once and kept nowhere."""

    ticket: Secret
    url: Secret
    expires_at: datetime


class MediaTickets:
    """Makes tickets for callers.

    Args:
        database: Knows which camera an object is of.
        issuer: Signs.
        services: All whose RPCs may take tickets, those of other rooms too.
    """

    def __init__(
        self, database: Database, issuer: TokenIssuer, services: Iterable[ServiceDescriptor]
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._places = ticket_places(services)

    async def issue(self, caller: Caller, purpose: str, object_id: str) -> IssuedTicket:
        """Make a ticket.

        Raises:
            InvalidArgument: Nothing is shown for this purpose, or the object is missing.
            NotFound: The object is not there for the caller.
        """
        place = self._places.get(purpose)
        if place is None:
            raise _violation("purpose", f"must be one of: {', '.join(sorted(self._places))}")
        if not object_id and place.needs_object:
            raise _violation("object_id", "is missing: this ticket is for one thing")
        cameras = caller.cameras
        if object_id:
            object_id, camera_id = await self._found(place.rule.object, object_id)
            cameras = frozenset({camera_id})
        claims = ticket_claims(
            caller,
            Ticket(purpose=purpose, object_id=object_id),
            cameras=cameras,
            now=self._issuer.now(),
        )
        ticket = self._issuer.sign(claims)
        return IssuedTicket(
            ticket=ticket,
            url=place.url(object_id, ticket),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )

    async def _found(self, field: str, text: str) -> tuple[str, str]:
        """Return the id of an object and of its camera, where they are there for the caller."""
        async with self._database.read() as session:
            if field == _CAMERA:
                camera_id = require_camera(text)
                if await session.get(CameraRow, camera_id) is None:
                    raise camera_not_found(camera_id)
                return camera_id, camera_id
            sighting_id = sighting_id_of(text)
            row = await session.get(SightingRow, sighting_id)
            if row is None:
                raise sighting_not_found(sighting_id)
            require_sighting(sighting_id, row.camera_id)
            return sighting_id, row.camera_id


def ticket_places(services: Iterable[ServiceDescriptor]) -> Mapping[str, TicketPlace]:
    """Return where tickets are taken, by their purpose.

    Raises:
        ValueError: Two RPCs have one purpose, one is no GET in REST, or nobody here knows which
            camera its object is of.
    """
    places: dict[str, TicketPlace] = {}
    for rule in read_rules(services).values():
        if rule.ticket is None:
            continue
        options: Any = rule.descriptor.GetOptions()  # the generated types do not know extensions
        template: str = options.Extensions[annotations_pb2.http].get
        taken = rule.ticket.purpose in places
        if not template or taken or rule.ticket.object not in {_CAMERA, _SIGHTING}:
            raise ValueError(f"{rule.descriptor.full_name} cannot take tickets")
        places[rule.ticket.purpose] = TicketPlace(template=template, rule=rule.ticket)
    return places


def _violation(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(
        "REQUEST_INVALID",
        f"{field} {description}.",
        violations=[FieldViolation(field=field, description=description)],
    )
