"""How each change of tokens, keys and what the site keeps is made."""

from dfip.control_plane.v1 import (
    admin_service_pb2,
    token_service_pb2,
)
from tests.support.audited_changes.walk import NOTHING, About, Changes, Walk


async def issue_token(walk: Walk) -> tuple[About, About]:
    request = token_service_pb2.IssueTokenRequest(role="viewer")
    issued = await walk.tokens.IssueToken(request)
    return ("token", issued.data.id), NOTHING


async def revoke_token(walk: Walk) -> tuple[About, About]:
    request = token_service_pb2.RevokeTokenRequest(token_id="some-id")
    await walk.tokens.RevokeToken(request)
    return ("token", "some-id"), NOTHING


async def revoke_subject_tokens(walk: Walk) -> tuple[About, About]:
    request = token_service_pb2.RevokeSubjectTokensRequest(subject="Somebody")
    await walk.tokens.RevokeSubjectTokens(request)
    return ("subject", "Somebody"), NOTHING


async def rotate_keys(walk: Walk) -> tuple[About, About]:
    await walk.admin.RotateKeys(admin_service_pb2.RotateKeysRequest(which="both"))
    return NOTHING, NOTHING


async def set_retention_policy(walk: Walk) -> tuple[About, About]:
    request = admin_service_pb2.SetRetentionPolicyRequest(event_days=3, run_now=True)
    await walk.admin.SetRetentionPolicy(request)
    return NOTHING, NOTHING


async def create_backup(walk: Walk) -> tuple[About, About]:
    await walk.admin.CreateBackup(admin_service_pb2.CreateBackupRequest())
    return NOTHING, NOTHING


CHANGES: Changes = {
    "AdminService/RotateKeys": ("keys.rotate", rotate_keys),
    "AdminService/SetRetentionPolicy": ("retention_policy.set", set_retention_policy),
    "AdminService/CreateBackup": ("backup.create", create_backup),
    "TokenService/IssueToken": ("token.issue", issue_token),
    "TokenService/RevokeToken": ("token.revoke", revoke_token),
    "TokenService/RevokeSubjectTokens": ("subject_tokens.revoke", revoke_subject_tokens),
}
