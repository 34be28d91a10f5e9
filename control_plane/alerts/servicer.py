"""``AlertService``: takes requests apart, lets the alerts topic do the work, answers."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc

from control_plane.alerts import mapping, model
from control_plane.alerts.model import AlertFilter
from control_plane.alerts.occupancy import OccupancyWatch
from control_plane.alerts.rules import RuleStore, digest_of
from control_plane.alerts.store import AlertStore, NamedAlert, PageKey
from control_plane.alerts.watch import AlertWatch
from control_plane.alerts.watch_lists import WatchListStore
from control_plane.people.model import clean_name, clean_text
from dfip.control_plane.v1 import alert_pb2, alert_service_pb2_grpc
from dfip.control_plane.v1 import alert_service_pb2 as pb
from service_runtime.authentication import current_caller
from service_runtime.errors import InvalidArgument, NotFound
from service_runtime.identifiers import parse_id
from service_runtime.pagination import decode_page_token, encode_page_token
from service_runtime.resume_tokens import ResumeToken

_PAGE = 100


class AlertServicer(alert_service_pb2_grpc.AlertServiceServicer):
    """Answers for ``dfip.control_plane.v1.AlertService``."""

    def __init__(
        self,
        *,
        rules: RuleStore,
        watch_lists: WatchListStore,
        alerts: AlertStore,
        watch: AlertWatch,
        occupancy: OccupancyWatch,
    ) -> None:
        self._rules = rules
        self._watch_lists = watch_lists
        self._alerts = alerts
        self._watch = watch
        self._occupancy = occupancy

    async def CreateAlertRule(
        self, request: pb.CreateAlertRuleRequest, _context: grpc.aio.ServicerContext
    ) -> pb.CreateAlertRuleResponse:
        """Make a rule."""
        condition = model.check_condition(request.kind, mapping.condition_of(request.condition))
        name = clean_name(request.name)
        description = clean_text("description", request.description)
        severity = request.severity or model.DEFAULT_SEVERITY
        enabled = request.enabled if request.HasField("enabled") else True
        cooldown_s = (
            request.cooldown_s if request.HasField("cooldown_s") else model.DEFAULT_COOLDOWN_S
        )
        rule = await self._rules.create(
            name=name,
            description=description,
            kind=request.kind,
            severity=severity,
            enabled=enabled,
            condition=condition,
            cooldown_s=cooldown_s,
            request_id=request.request_id,
            request_digest=digest_of(
                name,
                description,
                request.kind,
                severity,
                enabled,
                cooldown_s,
                condition.person_id,
                condition.watch_list_id,
                condition.to_json(),
            ),
        )
        # what is counted after this answer counts for the rule, at this replica
        await self._occupancy.refresh()
        return pb.CreateAlertRuleResponse(
            success=True, message="Rule created", data=mapping.rule_message(rule)
        )

    async def GetAlertRule(
        self, request: pb.GetAlertRuleRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetAlertRuleResponse:
        """Read a rule."""
        rule = await self._rules.get(_rule_id(request.rule_id))
        return pb.GetAlertRuleResponse(
            success=True, message="Rule found", data=mapping.rule_message(rule)
        )

    async def ListAlertRules(
        self, request: pb.ListAlertRulesRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListAlertRulesResponse:
        """List rules by name."""
        size = request.page_size or _PAGE
        after = _name_key(request.page_token, "alert_rules")
        page = await self._rules.page(after=after, limit=size + 1)
        shown = page[:size]
        return pb.ListAlertRulesResponse(
            success=True,
            message=_count(len(shown), "rule"),
            data=[mapping.rule_message(rule) for _, rule in shown],
            next_page_token=_next_name(shown[-1][0], "alert_rules") if len(page) > size else "",
        )

    async def UpdateAlertRule(
        self, request: pb.UpdateAlertRuleRequest, _context: grpc.aio.ServicerContext
    ) -> pb.UpdateAlertRuleResponse:
        """Change what the request names."""
        rule_id = _rule_id(request.rule_id)
        rule = await self._rules.update(rule_id, mapping.rule_change(request))
        await self._occupancy.refresh()
        return pb.UpdateAlertRuleResponse(
            success=True, message="Rule updated", data=mapping.rule_message(rule)
        )

    async def DeleteAlertRule(
        self, request: pb.DeleteAlertRuleRequest, _context: grpc.aio.ServicerContext
    ) -> pb.DeleteAlertRuleResponse:
        """Remove a rule."""
        await self._rules.delete(_rule_id(request.rule_id))
        await self._occupancy.refresh()
        return pb.DeleteAlertRuleResponse(success=True, message="Rule removed")

    async def CreateWatchList(
        self, request: pb.CreateWatchListRequest, _context: grpc.aio.ServicerContext
    ) -> pb.CreateWatchListResponse:
        """Make a watch list."""
        name = clean_name(request.name)
        description = clean_text("description", request.description)
        person_ids = mapping.person_ids_of(list(request.person_ids))
        made = await self._watch_lists.create(
            name=name,
            description=description,
            person_ids=person_ids,
            request_id=request.request_id,
            request_digest=digest_of(name, description, sorted(person_ids)),
        )
        return pb.CreateWatchListResponse(
            success=True, message="Watch list created", data=mapping.watch_list_message(made)
        )

    async def GetWatchList(
        self, request: pb.GetWatchListRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetWatchListResponse:
        """Read a watch list."""
        found = await self._watch_lists.get(_watch_list_id(request.watch_list_id))
        return pb.GetWatchListResponse(
            success=True, message="Watch list found", data=mapping.watch_list_message(found)
        )

    async def ListWatchLists(
        self, request: pb.ListWatchListsRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListWatchListsResponse:
        """List watch lists by name."""
        size = request.page_size or _PAGE
        after = _name_key(request.page_token, "watch_lists")
        page = await self._watch_lists.page(after=after, limit=size + 1)
        shown = page[:size]
        return pb.ListWatchListsResponse(
            success=True,
            message=_count(len(shown), "watch list"),
            data=[mapping.watch_list_message(found) for _, found in shown],
            next_page_token=_next_name(shown[-1][0], "watch_lists") if len(page) > size else "",
        )

    async def UpdateWatchList(
        self, request: pb.UpdateWatchListRequest, _context: grpc.aio.ServicerContext
    ) -> pb.UpdateWatchListResponse:
        """Change what the request names."""
        watch_list_id = _watch_list_id(request.watch_list_id)
        change = mapping.watch_list_change(request)
        changed = await self._watch_lists.update(watch_list_id, change)
        return pb.UpdateWatchListResponse(
            success=True, message="Watch list updated", data=mapping.watch_list_message(changed)
        )

    async def DeleteWatchList(
        self, request: pb.DeleteWatchListRequest, _context: grpc.aio.ServicerContext
    ) -> pb.DeleteWatchListResponse:
        """Remove a watch list that no rule names."""
        await self._watch_lists.delete(_watch_list_id(request.watch_list_id))
        return pb.DeleteWatchListResponse(success=True, message="Watch list removed")

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListAlertsResponse:
        """List alerts, newest first."""
        shown = _filter(request)
        values = _filter_values(shown)
        after = None
        if request.page_token:
            after = _page_key(decode_page_token(request.page_token, values, key_length=2))
        size = request.page_size or _PAGE
        page = await self._alerts.page(shown, after=after, limit=size + 1)
        alerts = page[:size]
        more = len(page) > size
        return pb.ListAlertsResponse(
            success=True,
            message=_count(len(alerts), "alert"),
            data=[_message(found) for found in alerts],
            next_page_token=encode_page_token(values, _key(alerts[-1])) if more else "",
        )

    async def GetAlert(
        self, request: pb.GetAlertRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetAlertResponse:
        """Read one alert."""
        found = await self._alerts.get(_alert_id(request.alert_id))
        return pb.GetAlertResponse(success=True, message="Alert found", data=_message(found))

    async def WatchAlerts(
        self, request: pb.WatchAlertsRequest, _context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchAlertsResponse]:
        """Follow alerts as they are raised and acknowledged."""
        responses = self._watch.watch(
            rule_id=mapping.rule_id_of(request.rule_id) or None,
            camera_id=mapping.camera_id_of(request.camera_id) or None,
            after=ResumeToken.decode(request.resume_token) if request.resume_token else None,
        )
        async with contextlib.aclosing(responses):
            async for response in responses:
                yield response

    async def AcknowledgeAlert(
        self, request: pb.AcknowledgeAlertRequest, _context: grpc.aio.ServicerContext
    ) -> pb.AcknowledgeAlertResponse:
        """Note who looks after an alert."""
        found = await self._alerts.acknowledge(
            _alert_id(request.alert_id),
            who=current_caller().subject[:200],
            note=clean_text("note", request.note),
        )
        return pb.AcknowledgeAlertResponse(
            success=True, message="Alert acknowledged", data=_message(found)
        )


def _message(found: NamedAlert) -> alert_pb2.Alert:
    alert, name = found
    return mapping.alert_message(alert, person_name=name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 's'}"


def _filter(request: pb.ListAlertsRequest) -> AlertFilter:
    return AlertFilter(
        rule_id=mapping.rule_id_of(request.rule_id) or None,
        camera_id=mapping.camera_id_of(request.camera_id) or None,
        person_id=mapping.person_id_of(request.person_id) or None,
        state=request.state or None,
        since=mapping.moment_of("since", request.since) if request.HasField("since") else None,
        until=mapping.moment_of("until", request.until) if request.HasField("until") else None,
    )


def _filter_values(shown: AlertFilter) -> dict[str, str | int | None]:
    return {
        "list": "alerts",
        "rule_id": shown.rule_id,
        "camera_id": shown.camera_id,
        "person_id": shown.person_id,
        "state": shown.state,
        "since": shown.since.isoformat() if shown.since is not None else None,
        "until": shown.until.isoformat() if shown.until is not None else None,
    }


def _key(found: NamedAlert) -> list[str]:
    alert, _ = found
    return [alert.raised_at.astimezone(UTC).isoformat(), alert.id]


def _page_key(values: list[str]) -> PageKey:
    try:
        raised_at = datetime.fromisoformat(values[0])
    except ValueError:
        raised_at = None
    if raised_at is None or raised_at.tzinfo is None:
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID", "The page token is not valid; ask for the first page again."
        )
    return raised_at, values[1]


def _name_key(token: str, noun: str) -> tuple[str, str] | None:
    if not token:
        return None
    sort_key, id_ = decode_page_token(token, {"list": noun}, key_length=2)
    return sort_key, id_


def _next_name(key: tuple[str, str], noun: str) -> str:
    return encode_page_token({"list": noun}, list(key))


def _rule_id(text: str) -> str:
    rule_id = mapping.rule_id_of(text)
    if not rule_id:
        raise model.rule_not_found("")
    return rule_id


def _watch_list_id(text: str) -> str:
    watch_list_id = mapping.watch_list_id_of(text)
    if not watch_list_id:
        raise model.watch_list_not_found("")
    return watch_list_id


def _alert_id(text: str) -> str:
    try:
        return parse_id(text, noun="alert")
    except NotFound:
        raise model.alert_not_found(text[:64]) from None
