"""What `dfip backup …` does.

Backups are made and listed by the control plane. A restore happens while none runs, so it is done
by a program of the control plane's own, which alone knows the database.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from cli.client.access import Access, connected
from cli.client.times import full_time
from cli.failures import CommandFailed, ExitCode
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import admin_service_pb2 as pb
from dfip.control_plane.v1 import admin_service_pb2_grpc

_POLL_S = 0.5
_COLUMNS: tuple[Column[pb.Backup], ...] = (
    Column(title="id", value=lambda backup: backup.id),
    Column(title="state", value=lambda backup: backup.state),
    Column(title="made", value=lambda backup: full_time(backup.made_at)),
    Column(title="bytes", value=lambda backup: str(backup.size_bytes)),
    Column(title="keys", value=lambda backup: "yes" if backup.with_keys else "no"),
    Column(title="path", value=lambda backup: backup.path, aside=True),
    Column(title="reason", value=lambda backup: backup.reason, aside=True),
)


async def create_backup(access: Access, output: Output, talk: Talk, *, with_keys: bool) -> None:
    """Make a backup, wait for it and print it.

    Raises:
        CommandFailed: It could not be made.
    """
    async with connected(access) as channel:
        admin = admin_service_pb2_grpc.AdminServiceStub(channel)
        asked = await admin.CreateBackup(pb.CreateBackupRequest(with_keys=with_keys))
        backup = asked.data
        while backup.state == "running":
            await asyncio.sleep(_POLL_S)
            listed = await admin.ListBackups(pb.ListBackupsRequest())
            found = [one for one in listed.data if one.id == asked.data.id]
            if not found:
                raise CommandFailed(
                    "The control plane does not know the backup any more; it was started anew, or"
                    " another replica answers. Make another backup."
                )
            backup = found[0]
    if backup.state == "failed":
        raise CommandFailed(f"The backup could not be made: {backup.reason}")
    output.record(backup, _COLUMNS)
    talk.say(
        "The key file is in it: whoever has this backup can read every secret of the site."
        if with_keys
        else "The key file is not in it, and without that it opens no secret: keep a copy of "
        "keys/master.key, or of the file of DFIP_MASTER_KEY_FILE, apart from the backups."
    )


async def list_backups(access: Access, output: Output) -> None:
    """Print the backups, newest first."""
    async with connected(access) as channel:
        answer = await admin_service_pb2_grpc.AdminServiceStub(channel).ListBackups(
            pb.ListBackupsRequest()
        )
    output.listing(
        answer.data, _COLUMNS, empty="There is no backup yet; make one with `dfip backup create`."
    )


def restore_backup(
    backup: Path,
    *,
    data_dir: Path,
    ledger: Path | None,
    master_key: Path | None,
    output: Output,
    talk: Talk,
) -> int:
    """Make a data directory of a backup, and say what is left to do.

    Raises:
        CommandFailed: It could not be done.
    """
    command = [sys.executable, "-m", "control_plane.backups", str(backup), "--data-dir"]
    command += [str(data_dir)]
    command += ["--ledger", str(ledger)] if ledger is not None else []
    command += ["--master-key", str(master_key)] if master_key is not None else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise CommandFailed(said[-1] if said else "The restore failed.", code=ExitCode.FAILED)
    restored = json.loads(done.stdout)
    output.text(restored["data_dir"], restored)
    if not restored["has_key"]:
        talk.say(
            f"Put the key file (master key {restored['master_key_id']}) at"
            f" {data_dir / 'keys' / 'master.key'} before you start."
        )
    if restored["ledger"] is None:
        talk.say(
            "There was no list of erasures (erasures.jsonl) beside the backup: whoever was erased "
            f"after {restored['made_at']} is back. Name the list with --ledger, or erase them "
            "again."
        )
    else:
        talk.say(f"Erased again, because it was done since: {restored['erased_again']} people.")
    talk.say(
        "Single faces that were removed since are back, and tokens that were revoked since are good"
        " again: `dfip keys rotate --which signing --revoke` ends every token."
    )
    return 0
