"""The services of a control plane: each contract with what answers it."""

from collections.abc import Sequence

from control_plane.admin.servicer import AdminServicer
from control_plane.alerts.rules import RuleStore
from control_plane.alerts.servicer import AlertServicer
from control_plane.alerts.store import AlertStore
from control_plane.alerts.watch import AlertWatch
from control_plane.alerts.watch_lists import WatchListStore
from control_plane.audit.servicer import AuditServicer
from control_plane.audit.store import AuditStore
from control_plane.cameras.connection_string import ConnectionRules
from control_plane.cameras.registry import CameraRegistry
from control_plane.cameras.servicer import ControlPlaneServicer
from control_plane.cameras.watch import CameraWatch
from control_plane.events.servicer import EventServicer
from control_plane.gateway.servicer import WorkerGatewayServicer
from control_plane.leases.servicer import LeaseServicer
from control_plane.leases.store import LeaseStore
from control_plane.parts import Parts
from control_plane.people.enrolment import Enrolment
from control_plane.people.erasure import Erasure
from control_plane.people.face_analysis import FaceAnalysis
from control_plane.people.face_watch import FaceWatch
from control_plane.people.merging import Merging
from control_plane.people.servicer import PersonServicer
from control_plane.people.store import PersonStore
from control_plane.settings import Settings
from control_plane.sightings.enrolment import SightingEnrolment
from control_plane.sightings.intake import SightingIntake
from control_plane.sightings.labels import SightingLabels
from control_plane.sightings.photo_search import PhotoSearch
from control_plane.sightings.servicer import SightingServicer
from control_plane.sightings.store import SightingStore
from control_plane.sightings.watch import SightingWatch
from control_plane.telemetry.ingest import TelemetryIngest
from control_plane.telemetry.servicer import TelemetryServicer
from control_plane.telemetry.store import TelemetryStore
from control_plane.tokens.servicer import TokenServicer
from control_plane.tokens.tickets import MediaTickets
from control_plane.webhooks.deliveries import DeliveryStore
from control_plane.webhooks.servicer import WebhookServicer
from dfip.camera_manager.v1 import manager_service_pb2, media_service_pb2
from dfip.control_plane.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    alert_service_pb2,
    alert_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    lease_service_pb2,
    lease_service_pb2_grpc,
    person_service_pb2,
    person_service_pb2_grpc,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
    telemetry_service_pb2,
    telemetry_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
    worker_gateway_service_pb2,
    worker_gateway_service_pb2_grpc,
)
from service_runtime.clock import Clock
from service_runtime.server import Binding

# whose RPCs may take tickets
SHOWING = tuple(
    service
    for module in (event_service_pb2, sighting_service_pb2, manager_service_pb2, media_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)


def bindings(parts: Parts, settings: Settings, clock: Clock) -> Sequence[Binding]:
    """Return every service of the control plane with its servicer."""
    registry = CameraRegistry(parts.database, parts.vault, parts.issuer)
    people = PersonStore(parts.database, parts.vault)
    sightings = SightingStore(parts.database)
    analysis = FaceAnalysis(parts.index)
    enrolment = Enrolment(people, analysis, parts.blobs)
    telemetry = TelemetryIngest(parts.known_cameras, parts.telemetry_line, clock)
    alerts = AlertStore(parts.database)
    return (
        Binding.of(
            alert_service_pb2,
            alert_service_pb2_grpc,
            AlertServicer(
                rules=RuleStore(parts.database),
                watch_lists=WatchListStore(parts.database),
                alerts=alerts,
                watch=AlertWatch(parts.feed, alerts),
                occupancy=parts.occupancy,
            ),
        ),
        Binding.of(
            control_plane_service_pb2,
            control_plane_service_pb2_grpc,
            ControlPlaneServicer(
                database=parts.database,
                registry=registry,
                watch=CameraWatch(parts.database, parts.feed, clock),
                clock=clock,
                connections=ConnectionRules(
                    media_root=settings.media_root.absolute(), devices=settings.allow_devices
                ),
                site_pack=settings.pack,
            ),
        ),
        Binding.of(
            worker_gateway_service_pb2,
            worker_gateway_service_pb2_grpc,
            WorkerGatewayServicer(
                database=parts.database,
                registry=registry,
                intake=SightingIntake(parts.database, parts.blobs, parts.vault),
                telemetry=telemetry,
                switchboard=parts.switchboard,
                clock=clock,
                site_pack=settings.pack,
            ),
        ),
        Binding.of(
            event_service_pb2,
            event_service_pb2_grpc,
            EventServicer(parts.feed),
        ),
        Binding.of(
            person_service_pb2,
            person_service_pb2_grpc,
            PersonServicer(
                store=people,
                enrolment=enrolment,
                from_sightings=SightingEnrolment(
                    parts.database, parts.vault, parts.blobs, enrolment
                ),
                merging=Merging(parts.database, parts.vault, parts.remover),
                erasure=Erasure(parts.database, parts.remover),
                watch=FaceWatch(parts.database, parts.feed, people),
            ),
        ),
        Binding.of(
            sighting_service_pb2,
            sighting_service_pb2_grpc,
            SightingServicer(
                store=sightings,
                labels=SightingLabels(parts.database),
                photo_search=PhotoSearch(
                    database=parts.database,
                    vault=parts.vault,
                    analysis=analysis,
                    persons=people,
                    sightings=sightings,
                ),
                watch=SightingWatch(parts.feed, sightings),
                blobs=parts.blobs,
            ),
        ),
        Binding.of(
            telemetry_service_pb2,
            telemetry_service_pb2_grpc,
            TelemetryServicer(ingest=telemetry, store=TelemetryStore(parts.database), clock=clock),
        ),
        Binding.of(
            audit_service_pb2,
            audit_service_pb2_grpc,
            AuditServicer(AuditStore(parts.database), parts.trail),
        ),
        Binding.of(
            lease_service_pb2,
            lease_service_pb2_grpc,
            LeaseServicer(LeaseStore(parts.database), clock),
        ),
        Binding.of(
            token_service_pb2,
            token_service_pb2_grpc,
            TokenServicer(
                issuer=parts.issuer,
                database=parts.database,
                publication=parts.revocations,
                bootstrap=parts.tokens,
                clock=clock,
                signing=parts.signing_keys,
                tickets=MediaTickets(parts.database, parts.issuer, SHOWING),
            ),
        ),
        Binding.of(
            admin_service_pb2,
            admin_service_pb2_grpc,
            AdminServicer(
                keys=parts.keys,
                policy=parts.policy,
                retention=parts.retention,
                backups=parts.backups,
            ),
        ),
        Binding.of(
            webhook_service_pb2,
            webhook_service_pb2_grpc,
            WebhookServicer(
                store=parts.webhooks,
                deliveries=DeliveryStore(parts.database, parts.webhooks.changed),
                policy=parts.receivers,
            ),
        ),
    )
