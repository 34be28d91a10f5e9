"""Signatures, checked with the specification's own library and its published example."""

import base64
import secrets
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from control_plane.webhooks.signature import make_secret, parse_secret, signed_headers
from service_runtime.errors import InvalidArgument
from service_runtime.secret import Secret

BODY = '{"data":"Grüße, 你好"}'.encode()


def test_the_published_example() -> None:
    headers = signed_headers(
        [parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_library_accepts_each_secret_in_force_and_no_other() -> None:
    new, old = make_secret(), make_secret()
    headers = signed_headers([new, old], message_id="m", at=datetime.now(UTC), body=BODY)
    for key in (new, old):
        Webhook(key.reveal()).verify(BODY, headers)
    for key, body in ((make_secret(), BODY), (new, BODY + b" ")):
        with pytest.raises(WebhookVerificationError):
            Webhook(key.reveal()).verify(body, headers)


@pytest.mark.parametrize("size", [24, 25, 32, 64])
def test_a_secret_that_somebody_brings(size: int) -> None:
    raw = secrets.token_bytes(size)
    written = "whsec_" + base64.b64encode(raw).decode()
    assert parse_secret(written) == Secret(written)
    assert parse_secret(written.rstrip("=")) == Secret(written)


@pytest.mark.parametrize(
    "text",
    [
        "canary-secret", "whsec_", "whsec_canary!", "whsk_" + "A" * 44, "whsec_" + "A" * 31,
        "whsec_" + base64.b64encode(b"x" * 23).decode(), "whsec_ä",
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
    ],
)  # fmt: skip
def test_a_weak_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_secret(text)
    assert text.removeprefix("whsec_")[:6] not in refused.value.sentence or text == "whsec_"
