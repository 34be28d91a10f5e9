"""Nonsense over the whole REST surface: refused as JSON, and never an error of ours.

Random but seeded, so that a failure can be looked at again; it is the real control plane that
answers.
"""

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

from deploy.envoy.contracts import edge_methods
from tests.support.edge import running_edge
from tests.support.people import running_people_site

REQUESTS = 500
SEED = 1
SPELLINGS = [
    (binding.verb, binding.template)
    for method in edge_methods(["control_plane"])
    for binding in method.bindings
    if not method.endless
]
IDS = [
    "x", "%00", "%ff", "00000000-0000-4000-8000-000000000000", "%2e%2e", "a;b", "..;", "%e2%80%ae",
    ":", "a:b", "*", "{id}", "%25", "~", "%2F", "a" * 1100,
]  # fmt: skip
FIELDS = [
    "name", "connection_string", "status", "desired_state", "metadata", "zone_config",
    "model_config", "etag", "page_size", "page_token", "labels", "camera_id", "cameraId", "since",
    "request_id", "health_info", "decision", "face_index", "force", "image", "image.data", "role",
    "lifetime_s", "__proto__", "timestamp", "occupancy", "confidence", "zone", "bucket_s", "until",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 1e308, float("inf"), 2**70, "", "x", "\u0000", "\ud83d\ude00", "x" * 3000,
    [], {}, {"a": {"b": [1]}}, [[[[]]]], "NaN", "2024-01-01T00:00:00Z", "rtsp://canary:pass@h/",
]  # fmt: skip
QUERY_VALUES = ["", "1", "x", "-1", "%00", "%ff", "true", "[]", "9" * 30]


def body(dice: random.Random) -> bytes:
    kind = dice.random()
    if kind < 0.7:
        chosen = {dice.choice(FIELDS): dice.choice(VALUES) for _ in range(dice.randrange(5))}
        if dice.random() < 0.4:
            chosen |= {"name": "n", "connection_string": dice.choice(["rtsp://a/b", "x://", "1"])}
        return json.dumps(chosen).encode()
    return dice.randbytes(dice.randrange(200)) if kind < 0.9 else b"[" * dice.randrange(3000)


async def test_no_request_breaks_anything(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    statuses: Counter[int] = Counter()
    async with (
        running_people_site(tmp_path) as people,
        running_edge(tmp_path, clusters={"control_plane": people.site.target}) as edge,
        edge.client(people.site.token("admin").reveal()) as client,
    ):
        for _ in range(REQUESTS):
            verb, template = dice.choice(SPELLINGS)
            path = re.sub(r"\{[^}]+\}", lambda _: dice.choice(IDS), template)
            query = "&".join(
                f"{dice.choice(FIELDS)}={dice.choice(QUERY_VALUES)}"
                for _ in range(dice.choice([0, 0, 1, 2]))
            )
            content = body(dice) if verb in {"POST", "PATCH"} else None
            if dice.random() < 0.1:
                verb = dice.choice(["PUT", "OPTIONS", "DELETE", "TRACE", "NONSENSE"])
            response = await client.request(verb, f"{path}?{query}", content=content)
            seen = f"{verb} {path}?{query} {content!r}: {response.status_code} {response.text}"
            assert response.status_code < 500, seen
            assert "Traceback" not in response.text, seen
            assert response.status_code == 400 or "canary" not in response.text, seen
            if response.status_code >= 400:
                assert response.json().keys() == {"code", "message", "details"}, seen
            statuses[response.status_code] += 1
        assert not people.site.stopping
    assert {200, 201, 400, 404, 405} <= statuses.keys()
