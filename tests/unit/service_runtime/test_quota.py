"""How many calls one caller may hold, so that the others are served too."""

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from dfip.options.v1 import policy_pb2
from service_runtime.authentication import Caller
from service_runtime.errors import ResourceExhausted
from service_runtime.interceptors.quota import CALLS_OF_ONE, CallQuota


def caller(role: policy_pb2.Role, token_id: str = "t") -> Caller:
    return Caller(
        subject="s",
        role=role,
        camera_id=None,
        epoch=None,
        token_id=token_id,
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "role",
    [
        policy_pb2.ROLE_VIEWER,
        policy_pb2.ROLE_OPERATOR,
        policy_pb2.ROLE_ADMIN,
        policy_pb2.ROLE_WORKER,
    ],
)
def test_one_token_has_its_share_and_gets_it_back(role: policy_pb2.Role) -> None:
    quota = CallQuota(1000)
    with ExitStack() as open_calls:
        for _ in range(CALLS_OF_ONE):
            open_calls.enter_context(quota.hold(caller(role)))
        with pytest.raises(ResourceExhausted), quota.hold(caller(role)):
            pass
        with quota.hold(caller(role, "another")):
            pass
    with quota.hold(caller(role)):
        pass


def test_people_together_leave_a_part_to_the_machines() -> None:
    quota = CallQuota(50)
    with ExitStack() as open_calls:
        for number in range(30):
            open_calls.enter_context(quota.hold(caller(policy_pb2.ROLE_VIEWER, str(number))))
        with pytest.raises(ResourceExhausted), quota.hold(caller(policy_pb2.ROLE_ADMIN, "a")):
            pass
        for role in (policy_pb2.ROLE_WORKER, policy_pb2.ROLE_MANAGER, policy_pb2.ROLE_INDEX):
            with quota.hold(caller(role)):
                pass


def test_the_sites_own_machines_and_health_are_not_counted() -> None:
    quota = CallQuota(10)
    with ExitStack() as open_calls:
        for _ in range(500):
            open_calls.enter_context(quota.hold(caller(policy_pb2.ROLE_MANAGER)))
            open_calls.enter_context(quota.hold(None))


def test_a_call_that_fails_gives_its_place_back() -> None:
    quota = CallQuota(1000)
    for _ in range(2 * CALLS_OF_ONE):
        with pytest.raises(ValueError, match="ours"), quota.hold(caller(policy_pb2.ROLE_VIEWER)):
            raise ValueError("ours")
