"""`dfip webhooks …` against a real control plane and a real receiver."""

import json
from pathlib import Path

import pytest

from cli.client import webhooks
from cli.client.access import Access
from cli.failures import CommandFailed, ExitCode
from cli.output import Output
from cli.talk import Talk
from tests.support.control_plane import running_control_plane
from tests.support.receiver import receiving

PIPED, JSON = Output(), Output(as_json=True)
Captured = pytest.CaptureFixture[str]


async def test_a_webhook_is_made_tried_looked_at_and_removed(
    tmp_path: Path, capsys: Captured
) -> None:
    async with (
        receiving() as receiver,
        running_control_plane(tmp_path, webhook_networks="127.0.0.0/8", webhook_http=True) as site,
    ):
        access = Access(server="http://site", target=site.target, token=site.token())
        url = receiver.url("/?token=t")
        await webhooks.create_webhook(
            access,
            JSON,
            Talk(),
            name="pager",
            url=url,
            event_types=["camera.*"],
            cameras=[],
            enabled=True,
            secret="",
        )
        made, talk = capsys.readouterr()
        assert json.loads(made)["secret"].startswith("whsec_")
        assert "told this once" in talk
        await webhooks.try_webhook(access, PIPED, webhook="pager")
        sent = capsys.readouterr().out.split("\t")
        assert sent[1:6] == ["webhook.test", "delivered", "1", "204", ""]
        await webhooks.replay_delivery(access, PIPED, webhook="pager", delivery=sent[0])
        await receiver.next()
        assert (await receiver.next()).headers["webhook-id"] == sent[0]
        receiver.answer(500)
        with pytest.raises(CommandFailed, match=r"did not arrive: status \(status 500\)"):
            await webhooks.try_webhook(access, PIPED, webhook="pager")
        capsys.readouterr()
        await webhooks.list_deliveries(access, PIPED, webhook="pager", state="pending", limit=5)
        assert capsys.readouterr().out.split("\t")[2:6] == ["pending", "1", "500", "status"]
        await webhooks.rotate_secret(
            access, JSON, Talk(), webhook="pager", secret="", revoke_old=False
        )
        rotated, talk = capsys.readouterr()
        assert json.loads(rotated)["secret"] != json.loads(made)["secret"]
        assert "signs too, until" in talk
        await webhooks.set_enabled(access, PIPED, webhook="pager", enabled=False)
        assert capsys.readouterr().out.split("\t")[2:4] == ["no", "admin"]
        await webhooks.list_webhooks(access, PIPED)
        assert capsys.readouterr().out.split("\t")[4:6] == ["camera.*", url]
        await webhooks.show_webhook(access, PIPED, webhook=json.loads(made)["id"])
        assert "whsec_" not in capsys.readouterr().out
        await webhooks.delete_webhook(access, PIPED, Talk(), webhook="pager")
        with pytest.raises(
            CommandFailed, match="No webhook is called 'pager'; `dfip webhooks list`"
        ) as gone:
            await webhooks.show_webhook(access, PIPED, webhook="pager")
        assert gone.value.code is ExitCode.NOT_FOUND


def test_a_terminal_shows_no_query() -> None:
    assert webhooks._without_query("https://a/b?token=t") == "https://a/b?…"
    assert webhooks._without_query("https://a/b") == "https://a/b"
