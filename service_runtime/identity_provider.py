"""Somebody else who may say who people are: an OpenID provider, known by its file of keys.

Nothing is fetched: the operator puts the provider's JWKS where ``DFIP_IDP_JWKS_FILE`` says, and
replaces it when the provider's keys change. The provider speaks of people alone: a token of its
never makes a worker, a manager or another machine. ``authentication`` checks the tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dfip.options.v1 import policy_pb2
from service_runtime.key_sets import ALGORITHMS
from service_runtime.settings import SettingsError

PEOPLE: Final[Mapping[str, policy_pb2.Role]] = {  # the most powerful first
    "admin": policy_pb2.ROLE_ADMIN,
    "operator": policy_pb2.ROLE_OPERATOR,
    "viewer": policy_pb2.ROLE_VIEWER,
}
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """A second issuer of tokens.

    Attributes:
        issuer: What its tokens say in ``iss``.
        audience: What they say in ``aud``: this site's name at the provider.
        jwks_file: Its public keys.
        algorithm: The only one it may sign with; one of RS256, ES256 and EdDSA.
        role_claim: Where a token names its roles; ``a.b`` is ``b`` in ``a``.
        roles: Which value there is which role.
    """

    issuer: str
    audience: str
    jwks_file: Path
    algorithm: str
    role_claim: str
    roles: Mapping[str, policy_pb2.Role]

    def role_of(self, claims: Mapping[str, Any]) -> policy_pb2.Role | None:
        """Return the most powerful role that a token names; None where it names none of ours."""
        named = _values(claims, self.role_claim)
        held = {self.roles[value] for value in named if value in self.roles}
        return next((role for role in PEOPLE.values() if role in held), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProviderSettings:
    """``DFIP_IDP_…``, as every service reads them; all of the first four, or none.

    ``idp_roles`` says which value of the claim is which role, such as
    ``dfip-admins=admin,guards=viewer``; without it the values are called as the roles are.
    """

    idp_issuer: str | None = None
    idp_audience: str | None = None
    idp_jwks_file: Path | None = None
    idp_algorithm: str | None = None
    idp_role_claim: str = "roles"
    idp_roles: str | None = None

    def identity_provider(self) -> IdentityProvider | None:
        """Return the provider; None where there is none.

        Raises:
            SettingsError: Something of it is missing or wrong.
        """
        issuer, audience = self.idp_issuer, self.idp_audience
        jwks_file, algorithm = self.idp_jwks_file, self.idp_algorithm
        if not (issuer or audience or jwks_file or algorithm):
            return None
        if not (issuer and audience and jwks_file and algorithm):
            raise SettingsError(
                "an identity provider needs all of DFIP_IDP_ISSUER, DFIP_IDP_AUDIENCE, "
                "DFIP_IDP_JWKS_FILE and DFIP_IDP_ALGORITHM"
            )
        if issuer == "dfip":
            raise SettingsError("DFIP_IDP_ISSUER must not be dfip, which is this site's own")
        if algorithm not in ALGORITHMS:
            raise SettingsError(f"DFIP_IDP_ALGORITHM must be one of {', '.join(ALGORITHMS)}")
        return IdentityProvider(
            issuer=issuer,
            audience=audience,
            jwks_file=jwks_file,
            algorithm=algorithm,
            role_claim=self.idp_role_claim,
            roles=PEOPLE if self.idp_roles is None else _read_roles(self.idp_roles),
        )


def _read_roles(text: str) -> dict[str, policy_pb2.Role]:
    found: dict[str, policy_pb2.Role] = {}
    for pair in text.split(","):
        value, equals, name = pair.strip().rpartition("=")
        if not equals or not value or name not in PEOPLE:
            raise SettingsError(
                "DFIP_IDP_ROLES must be written like dfip-admins=admin,guards=viewer, with the "
                f"roles {', '.join(PEOPLE)}"
            )
        found[value] = PEOPLE[name]
    return found


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return what stands in a claim, whether it is one text or a list."""
    value: Any = claims.get(name)
    if value is None and "." in name:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [item for item in value[:_MOST_VALUES] if isinstance(item, str)]
    return []
