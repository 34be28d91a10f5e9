"""`dfip up` from beginning to end: checks, pack, processes, where everything is, and the stop."""

import asyncio
import os
import shlex

from cli.forms import Form
from cli.output import Column, Output
from cli.places import DEFAULT_SERVER, default_data_dir
from cli.supervisor.running import prepare_pack_for, running_mesh, until_signal
from cli.supervisor.site import Site, SiteWish, open_site
from cli.talk import Talk


def _column(key: str) -> Column[dict[str, str]]:
    return Column(title=key, value=lambda places: places[key])


def run_in_foreground(wish: SiteWish, output: Output) -> None:
    """Run the mesh until a signal ends it.

    Args:
        wish: what to run.
        output: says where everything is in one line once it serves, but to people, who are told
            with what else there is to know.

    Raises:
        CommandFailed: the mesh cannot run; the sentence says why.
    """
    os.umask(0o077)  # every file and socket of the site is its owner's alone, Envoy's included
    talk = Talk()
    with open_site(wish) as site:
        prepare_pack_for(wish.pack_id, talk)
        asyncio.run(until_signal(_run(site, talk, output)))
    talk.say("DFIP has stopped.")


async def _run(site: Site, talk: Talk, output: Output) -> None:
    talk.say("DFIP is starting …")
    async with running_mesh(site, talk) as mesh:
        await mesh.start()
        if output.form is not Form.TABLE:
            places = whereabouts(site)
            output.line(places, [_column(key) for key in places])
        talk.say("DFIP is running; Ctrl-C stops it.", "good")
        talk.say(describe(site))
        await mesh.until_broken()


def whereabouts(site: Site) -> dict[str, str]:
    """Return where everything of a running site is."""
    return {
        "url": site.url,
        "grpc": site.grpc_target,
        "data_dir": str(site.data_dir),
        "media_root": str(site.media_root),
        "logs": str(site.logs_dir),
        "workers": str(site.workers_dir),
        "admin_token_file": str(site.admin_token_file),
    }


def describe(site: Site) -> str:
    """Return the same for people, with what to type next."""
    token_file = shlex.quote(str(site.admin_token_file))
    lines = [
        f"  REST         {site.url}",
        f"  gRPC         {site.grpc_target}",
        f"  data         {site.data_dir}",
        f"  media        {site.media_root}",
        f"  logs         {site.logs_dir}",
        f"  worker logs  {site.workers_dir}/<camera id>/worker.log",
        f"  admin token  {site.admin_token_file}",
        f'  try          curl -H "Authorization: Bearer $(cat {token_file})" {site.url}/cameras',
    ]
    if site.data_dir != default_data_dir().absolute() or site.url != DEFAULT_SERVER:
        lines.append(f"  dfip         export DFIP_SERVER={site.url} DFIP_TOKEN_FILE={token_file}")
    return "\n".join(lines)
