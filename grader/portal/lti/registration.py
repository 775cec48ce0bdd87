"""
Dynamic registration: an administrator gives the platform an address of ours, and the two exchange the rest.

Whoever opens that address names addresses that we fetch. So it contains an invitation code, which is valid for some
days and for one platform, and only public addresses are fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa

from grader.errors import UsageError
from grader.portal.audit import note
from grader.portal.lti.platforms import Platform, add_platform
from grader.portal.lti.refusals import PlatformFailure, Refused
from grader.portal.lti.tables import INVITATIONS
from grader.portal.lti.tool import (
    ITEM_SCOPE,
    RESULT_SCOPE,
    ROSTER_SCOPE,
    SCORE_SCOPE,
    Tool,
    digest,
    is_writable,
    make_secret,
)
from grader.portal.lti.web import shown

__all__ = ["check_invitation", "invite", "register"]

VALID_FOR = timedelta(days=3)
MOST_TRIES = 5
LONGEST = 2000
ANSWER_LIMIT = 64 * 1024
LTI = "https://purl.imsglobal.org/spec/lti-tool-configuration"
NOT_INVITED = "This address has no valid invitation. Ask the people who run the portal for one."
DEEP_LINKING = "LtiDeepLinkingRequest"
PLACEMENTS = ["assignment_selection", "link_selection"]
"""Where Canvas offers tools to teachers: in an assignment, and in a module."""
CLAIMS = ["iss", "sub", "name", "email"]


def invite(tool: Tool, *, by: str, valid_for: timedelta = VALID_FOR) -> str:
    """
    An address that an administrator gives to one platform, to register the portal.

    Args:
        tool: This portal.
        by: Who invites, for the audit trail.
        valid_for: How long it can be used.
    """
    code, now = make_secret(), tool.clock()
    until = now + valid_for
    with tool.database.begin() as connection:
        connection.execute(sa.insert(INVITATIONS).values(code_sha256=digest(code), expires_at=until, tries=0))
        about = f"one platform, until {until:%Y-%m-%d %H:%M} UTC"
        note(connection, by=by, what="platform invited", about=about, now=now)
    return f"{tool.base}/lti/register?{urlencode({'code': code})}"


def _valid(tool: Tool, code: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        INVITATIONS.c.code_sha256 == digest(code),
        INVITATIONS.c.used_at.is_(None),
        INVITATIONS.c.expires_at > tool.clock(),
        INVITATIONS.c.tries < MOST_TRIES,
    )


def check_invitation(tool: Tool, parameters: Mapping[str, str]) -> str:
    """
    Look at a request to register, without doing anything.

    Returns:
        The host of the platform that asks.

    Raises:
        Refused: It has no valid invitation, or does not name a platform.
    """
    with tool.database.begin() as connection:
        query = sa.select(INVITATIONS.c.tries).where(_valid(tool, parameters.get("code", "")))
        if connection.execute(query).one_or_none() is None:
            raise Refused(
                "This address has no valid invitation. Ask the people who run the portal for one.", status=403
            )
    address = parameters.get("openid_configuration", "")
    if not address or _host(address) is None:
        raise Refused("Give this address to your learning platform, which opens it to register the portal.")
    return shown(address)


def _host(address: str) -> str | None:
    """The host of an address, if it has one."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def register(tool: Tool, parameters: Mapping[str, str]) -> Platform:
    """
    Register the portal at the platform that asks, and the platform here.

    Args:
        tool: This portal.
        parameters: `code`, `openid_configuration` and `registration_token`.

    Raises:
        Refused: The invitation is not valid, or the platform's answers are not as they must be.
    """
    code = parameters.get("code", "")
    check_invitation(tool, parameters)
    with tool.database.begin() as connection:
        tried = sa.update(INVITATIONS).where(_valid(tool, code)).values(tries=INVITATIONS.c.tries + 1)
        if connection.execute(tried).rowcount != 1:
            raise Refused(
                "This address has no valid invitation. Ask the people who run the portal for one.", status=403
            )
    try:
        platform = _exchange(tool, parameters["openid_configuration"], parameters.get("registration_token", ""))
    except PlatformFailure as failure:
        raise Refused(f"The registration failed: {failure.sentence}", status=502) from None
    except UsageError as error:
        raise Refused(str(error)) from None
    with tool.database.begin() as connection:
        used = INVITATIONS.c.code_sha256 == digest(code)
        connection.execute(sa.update(INVITATIONS).where(used).values(used_at=tool.clock()))
    return platform


def _exchange(tool: Tool, address: str, token: str) -> Platform:
    found = tool.web.expect("GET", address, is_guarded=True, limit=ANSWER_LIMIT).object()
    issuer = _named(found, "issuer")
    if _host(issuer) != _host(address) or not issuer.startswith("https://"):
        raise Refused("The learning platform's name does not belong to the host that named it.")
    authorization, tokens, keys, registration = (
        _named(found, name)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint")
    )
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        if not token.isascii() or not token.isprintable() or " " in token:
            raise Refused("The learning platform's registration token cannot be sent back.")
        headers["Authorization"] = f"Bearer {token}"
    content = json.dumps(_description(tool, _placements(found))).encode()
    answer = tool.web.expect(
        "POST", registration, is_guarded=True, headers=headers, content=content, limit=ANSWER_LIMIT
    ).object()
    configuration = answer.get(LTI)
    deployment = configuration.get("deployment_id") if isinstance(configuration, dict) else None
    audience = found.get("authorization_server")
    return add_platform(
        tool,
        issuer=issuer,
        client_id=_named(answer, "client_id"),
        authorization_address=authorization,
        token_address=tokens,
        token_audience=audience if isinstance(audience, str) and is_writable(audience) else "",
        keys_address=keys,
        deployments=[deployment] if isinstance(deployment, str) and is_writable(deployment) and deployment else [],
        is_registered_by_itself=True,
        by=shown(address),
    )


def _placements(found: Mapping[str, Any]) -> list[str]:
    """Where the platform can show the choice of an assignment, of the places that suit us."""
    offered = found.get("https://purl.imsglobal.org/spec/lti-platform-configuration")
    messages = offered.get("messages_supported") if isinstance(offered, dict) else None
    places: list[Any] = []
    for each in messages if isinstance(messages, list) else []:
        if isinstance(each, dict) and each.get("type") == DEEP_LINKING and isinstance(each.get("placements"), list):
            places += each["placements"]
    return [place for place in PLACEMENTS if place in places]


def _description(tool: Tool, placements: list[str]) -> dict[str, Any]:
    """What a platform has to know about us."""
    launch = tool.launch_address
    return {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["implicit", "client_credentials"],
        "initiate_login_uri": f"{tool.base}/lti/login",
        "redirect_uris": [launch],
        "client_name": tool.title,
        "jwks_uri": f"{tool.base}/lti/jwks",
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": f"{ITEM_SCOPE} {RESULT_SCOPE} {SCORE_SCOPE} {ROSTER_SCOPE}",
        LTI: {
            "domain": urlsplit(tool.base).netloc,
            "target_link_uri": launch,
            "claims": CLAIMS,
            "messages": [
                {"type": "LtiResourceLinkRequest", "target_link_uri": launch, "label": tool.title},
                {"type": DEEP_LINKING, "target_link_uri": launch, "label": tool.title}
                | ({"placements": placements} if placements else {}),
            ],
        },
    }


def _named(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not is_writable(value):
        raise Refused(f"The learning platform did not send its {name}.")
    return value
