"""What `dfip keys …` does."""

from dataclasses import dataclass

from cli.client.access import Access, connected
from cli.client.times import full_time
from cli.output import Column, Output, to_json
from cli.talk import Talk
from dfip.control_plane.v1 import admin_service_pb2 as pb
from dfip.control_plane.v1 import admin_service_pb2_grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A line of the list."""

    kind: str
    id: str
    state: str
    made: str
    values: str
    ends: str


_COLUMNS: tuple[Column[_Key], ...] = (
    Column(title="kind", value=lambda key: key.kind),
    Column(title="id", value=lambda key: key.id),
    Column(title="state", value=lambda key: key.state),
    Column(title="made", value=lambda key: key.made),
    Column(title="values", value=lambda key: key.values),
    Column(title="ends", value=lambda key: key.ends),
)


async def show_keys(access: Access, output: Output, talk: Talk) -> None:
    """Print the keys, and how far a rotation is."""
    async with connected(access) as channel:
        answer = await admin_service_pb2_grpc.AdminServiceStub(channel).GetKeyStatus(
            pb.GetKeyStatusRequest()
        )
    _print(answer.data, output, talk)


async def rotate_keys(
    access: Access, output: Output, talk: Talk, *, which: str, revoke: bool
) -> None:
    """Replace keys and print those that there are now."""
    async with connected(access) as channel:
        answer = await admin_service_pb2_grpc.AdminServiceStub(channel).RotateKeys(
            pb.RotateKeysRequest(which=which, revoke=revoke)
        )
    _print(answer.data, output, talk)
    if which == "master":
        talk.say(
            "Backups from before need the older lines of the key file; keep a copy of it apart "
            "from them."
        )
    if revoke:
        talk.say(
            "Every token from before has ended; `admin.token` in the data folder holds a new one."
        )


def _print(status: pb.KeyStatus, output: Output, talk: Talk) -> None:
    keys = [
        _Key(
            kind="encryption",
            id=str(key.id),
            state=key.state,
            made=full_time(key.made_at),
            values=str(key.values),
            ends="",
        )
        for key in status.data_keys
    ]
    keys += [
        _Key(
            kind="signing",
            id=key.id,
            state=key.state,
            made=full_time(key.made_at),
            values="",
            ends=full_time(key.ends_at) if key.HasField("ends_at") else "",
        )
        for key in status.signing_keys
    ]
    if output.as_json:
        output.text("", to_json(status))
    else:
        output.listing(keys, _COLUMNS)
    talk.say(
        f"{status.older_values} of {status.sealed_values} values are sealed with an older key; "
        f"the master key is {status.master_key_id}."
    )
