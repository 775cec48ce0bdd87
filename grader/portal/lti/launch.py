"""
The second half of a launch: the platform's signed message, checked from the signature to the last claim.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from joserfc import jws, jwt
from joserfc.errors import JoseError

from grader.portal.lti.deployments import knows_deployment
from grader.portal.lti.login import Login, take_login
from grader.portal.lti.platforms import Platform, key_of
from grader.portal.lti.refusals import PlatformFailure, Refused
from grader.portal.lti.tables import PEOPLE, insert_if_new
from grader.portal.lti.tool import CLAIM, DEEP_LINKING, Tool, finite, is_writable
from grader.portal.lti.web import is_service_address, origin_of

__all__ = ["DeepLink", "Launch", "accept_launch", "roles_of"]

ALGORITHM = "RS256"
CLOCKS_DIFFER_S = 60
LONGEST = 255
LONGEST_TEXT = 1000
LONGEST_DATA = 20_000
MOST = 100
"""The roles, scopes and custom values that are read."""
ORIGIN = re.compile(r"https://[a-z0-9.-]+(:[0-9]+)?")
ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
AGS = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"


@dataclass(frozen=True)
class DeepLink:
    """A teacher's request to choose what a link opens."""

    return_address: str
    data: str | None
    """What the platform wants back as it is."""
    accepts_several: bool


@dataclass(frozen=True)
class Launch:
    """Somebody opened the portal from a platform, which vouches for all of this."""

    platform: int
    deployment: str
    person: int
    """The number of this person of this platform, the same at each launch."""
    subject: str
    """What the platform calls the person."""
    name: str
    """Empty, as the address is, if the platform does not share it."""
    email: str
    is_staff: bool
    is_learner: bool
    context: str
    context_title: str
    resource_link: str
    """The link that was opened; empty if a link is only being made."""
    assignment: str
    """What the link opens, as it was chosen when it was made; empty if nobody chose."""
    item_address: str
    items_address: str
    grade_scopes: tuple[str, ...]
    roster_address: str
    framed_by: tuple[str, ...]
    """The origins of the platform's pages, on which the portal may be in a frame; empty if they are not known."""
    deep_link: DeepLink | None


def accept_launch(tool: Tool, login: Login, id_token: str, *, cookie: str, stored: str = "") -> Launch:
    """
    Check the platform's answer to a login, and use the login up.

    Args:
        tool: This portal.
        login: What the answer's state belongs to.
        id_token: The signed message.
        cookie: The secret that the browser keeps.
        stored: The secret that the platform keeps for it.

    Raises:
        Refused: Something in it is not as it must be.
    """
    if not login.is_of(cookie, stored):
        raise Refused("This login was started in another browser.", status=403, again=login.again)
    now = tool.clock()
    take_login(tool, login, now)
    claims = _verified(tool, login.platform, id_token)
    _check_envelope(claims, login, now)
    message = _text(claims, f"{CLAIM}message_type")
    if claims.get(f"{CLAIM}version") != "1.3.0":
        raise Refused("The learning platform speaks another version of LTI than 1.3.0.")
    deployment = _required(claims, f"{CLAIM}deployment_id", "in which deployment the portal is used")
    subject = _required(claims, "sub", "who you are")
    if not hmac.compare_digest(_text(claims, f"{CLAIM}target_link_uri", 2000).encode(), login.target_link_uri.encode()):
        raise Refused("The learning platform wants to open something else than at the start of the login.")
    resource_link = _text(_part(claims, f"{CLAIM}resource_link"), "id")
    deep_link = None
    if message == "LtiDeepLinkingRequest":
        deep_link = _read_deep_link(claims)
    elif message != "LtiResourceLinkRequest":
        raise Refused("The learning platform asks for something that the portal does not offer.")
    elif not resource_link:
        raise Refused("The learning platform does not say which link was opened.")
    if not knows_deployment(tool, login.platform.number, deployment):
        raise Refused("The portal is not connected to this part of your learning platform.", status=403)
    context, services, roster = (_part(claims, name) for name in (f"{CLAIM}context", AGS, NRPS))
    is_staff, is_learner = roles_of(claims.get(f"{CLAIM}roles"))
    name, email = _shortened(claims, "name"), _shortened(claims, "email")
    return Launch(
        platform=login.platform.number,
        deployment=deployment,
        person=_remember(tool, login.platform, subject, name, email, now),
        subject=subject,
        name=name,
        email=email,
        is_staff=is_staff,
        is_learner=is_learner,
        context=_text(context, "id"),
        context_title=_shortened(context, "title"),
        resource_link=resource_link,
        assignment=_text(_part(claims, f"{CLAIM}custom"), "assignment"),
        item_address=_address(services, "lineitem"),
        items_address=_address(services, "lineitems"),
        grade_scopes=_texts(services.get("scope")),
        roster_address=_address(roster, "context_memberships_url"),
        framed_by=_pages_of(claims, login.platform),
        deep_link=deep_link,
    )


def roles_of(roles: Any) -> tuple[bool, bool]:
    """Whether these roles make somebody staff, and a learner. Only roles in the course count, not those elsewhere."""
    found = set(_texts(roles))
    return f"{ROLE}Instructor" in found, f"{ROLE}Learner" in found


def _verified(tool: Tool, platform: Platform, id_token: str) -> dict[str, Any]:
    """The claims of a message that the platform signed, with the one algorithm that is allowed."""
    try:
        header = jws.extract_compact(id_token.encode()).headers()
        kid = header.get("kid")
        if header.get("alg") != ALGORITHM or not isinstance(kid, str):
            raise Refused("The learning platform signed the login in a way that is not allowed.")
        return jwt.decode(id_token, key_of(tool, platform, kid), algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise Refused("The signature of the login is not that of the learning platform.") from None
    except PlatformFailure as failure:
        raise Refused(f"The keys of the learning platform are not available: {failure.sentence}", status=502) from None


def _check_envelope(claims: Mapping[str, Any], login: Login, now: datetime) -> None:
    """By whom the message is, for whom, of when, and for which login."""
    platform, seconds = login.platform, now.timestamp()
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != platform.issuer:
        raise Refused("The login comes from another learning platform than the one that started it.")
    if platform.client_id not in audiences or not all(isinstance(each, str) for each in audiences):
        raise Refused("The login is meant for another tool.")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != platform.client_id:
        raise Refused("The login is meant for another tool.")
    if not _time(claims, "exp") > seconds - CLOCKS_DIFFER_S:
        raise Refused("The login has expired. Open the link in your learning platform once more.")
    if not max(_time(claims, "iat"), _time(claims, "nbf", 0)) < seconds + CLOCKS_DIFFER_S:
        raise Refused("The clocks of the learning platform and of the portal differ.")
    if not hmac.compare_digest(_text(claims, "nonce").encode(), login.nonce.encode()):
        raise Refused("The learning platform answers another login than this one.")


def _time(claims: Mapping[str, Any], name: str, otherwise: float | None = None) -> float:
    value = finite(claims.get(name, otherwise))
    if value is None:
        raise Refused("The login does not say when it was made and how long it is valid.")
    return value


def _read_deep_link(claims: Mapping[str, Any]) -> DeepLink:
    settings = _part(claims, f"{DEEP_LINKING}deep_linking_settings")
    address, data = _address(settings, "deep_link_return_url"), settings.get("data")
    if not address:
        raise Refused("The learning platform does not say where the new link goes.")
    if "ltiResourceLink" not in _texts(settings.get("accept_types")):
        raise Refused("The learning platform does not accept links to assignments here.")
    if data is not None and (not isinstance(data, str) or len(data) > LONGEST_DATA):
        raise Refused("The learning platform sent data that cannot be sent back.")
    return DeepLink(return_address=address, data=data, accepts_several=settings.get("accept_multiple") is True)


def _pages_of(claims: Mapping[str, Any], platform: Platform) -> tuple[str, ...]:
    """
    The origins of the platform's pages, by https, as Content-Security-Policy can name them.

    The browser returns to the host of the page that has the frame. The login alone does not tell: that of Canvas is on
    another host than its pages, and Open edX has pages on several hosts and says of none.
    """
    back = _address(_part(claims, f"{CLAIM}launch_presentation"), "return_url")
    origins = [origin_of(address) for address in (back, platform.authorization_address) if address]
    if not back or not ORIGIN.fullmatch(origins[0]):
        return ()
    return tuple(dict.fromkeys(origin for origin in origins if ORIGIN.fullmatch(origin)))


def _remember(tool: Tool, platform: Platform, subject: str, name: str, email: str, now: datetime) -> int:
    """The number of a person, who is added or whose name is brought up to date."""
    values = {"name": name, "email": email, "seen_at": now}
    chosen = sa.and_(PEOPLE.c.platform == platform.number, PEOPLE.c.subject == subject)
    with tool.database.begin() as connection:
        unique = ["platform", "subject"]
        if not insert_if_new(connection, PEOPLE, unique, platform=platform.number, subject=subject, **values):
            connection.execute(sa.update(PEOPLE).where(chosen).values(**values))
        number: int = connection.execute(sa.select(PEOPLE.c.number).where(chosen)).scalar_one()
    return number


def _part(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = claims.get(name)
    return found if isinstance(found, dict) else {}


def _text(claims: Mapping[str, Any], name: str, longest: int = LONGEST) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) and len(found) <= longest and is_writable(found) else ""


def _shortened(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    return found[:LONGEST_TEXT] if isinstance(found, str) and is_writable(found) else ""


def _required(claims: Mapping[str, Any], name: str, what: str) -> str:
    found = _text(claims, name)
    if not found:
        raise Refused(f"The learning platform does not say {what}.")
    return found


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(each for each in found[:MOST] if isinstance(each, str)) if isinstance(found, list) else ()


def _address(claims: Mapping[str, Any], name: str) -> str:
    found = _text(claims, name, 2000)
    return found if is_service_address(found) else ""
