"""
The first half of a launch: the platform sends the browser to us, and we send it back with a state and a nonce.

The state belongs to one browser. A secret in a cookie says which one it is, or, where a frame keeps no cookies, another
secret in the platform's own storage. We save only hashes of them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa

from grader.portal.lti.platforms import Platform, find_platform, platform_of_login
from grader.portal.lti.refusals import Refused
from grader.portal.lti.tables import LOGINS
from grader.portal.lti.tool import Tool, digest, is_writable, make_secret

__all__ = ["SECRET_LENGTH", "Login", "Started", "find_login", "start_login", "take_login"]

LIFETIME = timedelta(minutes=10)
LONGEST_HINT = 8000
LONGEST_TARGET = 2000
LONGEST_STORAGE = 100
SECRET_LENGTH = len(make_secret())


@dataclass(frozen=True)
class Started:
    """A login that has begun."""

    platform: Platform
    address: str
    """Where the browser goes next."""
    state: str
    binding: str
    """The secret for the cookie."""
    stored: str
    """The secret for the platform's storage, of this login only: the platform sees it."""
    storage_target: str
    """The frame that keeps it; empty if the platform offers none."""


@dataclass(frozen=True)
class Login:
    """A login that a platform answers."""

    state_sha256: str
    platform: Platform
    nonce: str
    target_link_uri: str
    storage_target: str
    again: str
    """The address that starts the same login once more."""
    binding_sha256: str
    stored_sha256: str

    def is_of(self, cookie: str, stored: str = "") -> bool:
        """Whether a browser that has one of these secrets started the login."""
        pairs = ((cookie, self.binding_sha256), (stored, self.stored_sha256 if self.storage_target else ""))
        return any(secret and hmac.compare_digest(digest(secret), saved) for secret, saved in pairs)


def start_login(tool: Tool, parameters: Mapping[str, str], binding: str) -> Started:
    """
    Start a login.

    Args:
        tool: This portal.
        parameters: What the platform sent.
        binding: The secret that the browser keeps already; empty if it keeps none.

    Raises:
        Refused: The platform is not known, or does not say what is needed.
    """
    issuer, hint = parameters.get("iss", ""), parameters.get("login_hint", "")
    target, message_hint = parameters.get("target_link_uri", ""), parameters.get("lti_message_hint")
    storage_target = parameters.get("lti_storage_target", "")
    if not issuer or not hint or not target:
        raise Refused("The learning platform started a login without saying who it is, who you are, or what to open.")
    texts = (issuer, hint, target, message_hint or "", storage_target, parameters.get("client_id", ""))
    if max(map(len, texts)) > LONGEST_HINT or len(target) > LONGEST_TARGET or len(storage_target) > LONGEST_STORAGE:
        raise Refused("The learning platform started a login with texts that are too long.")
    if not all(is_writable(text) for text in texts):
        raise Refused("The learning platform started a login with characters that are no text.")
    platform = platform_of_login(tool, issuer, parameters.get("client_id", ""))
    if target != tool.base and not target.startswith(f"{tool.base}/"):
        raise Refused("The learning platform wants to open an address that does not belong to this portal.")
    state, nonce, stored = make_secret(), make_secret(), make_secret()
    kept = binding if len(binding) == SECRET_LENGTH else make_secret()
    now = tool.clock()
    with tool.database.begin() as connection:
        connection.execute(sa.delete(LOGINS).where(LOGINS.c.expires_at < now))
        connection.execute(
            sa.insert(LOGINS).values(
                state_sha256=digest(state),
                nonce=nonce,
                binding_sha256=digest(kept),
                stored_sha256=digest(stored),
                platform=platform.number,
                target_link_uri=target,
                login_hint=hint,
                message_hint=message_hint,
                storage_target=storage_target,
                started_at=now,
                expires_at=now + LIFETIME,
            )
        )
    query = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": platform.client_id,
        "redirect_uri": tool.launch_address,
        "state": state,
        "nonce": nonce,
        "login_hint": hint,
    }
    if message_hint is not None:
        query["lti_message_hint"] = message_hint
    joint = "&" if urlsplit(platform.authorization_address).query else "?"
    address = f"{platform.authorization_address}{joint}{urlencode(query)}"
    return Started(
        platform=platform, address=address, state=state, binding=kept, stored=stored, storage_target=storage_target
    )


def find_login(tool: Tool, state: str) -> Login:
    """
    The login that a platform answers.

    Raises:
        Refused: There is none, or it has been answered, or it took too long.
    """
    with tool.database.begin() as connection:
        row = connection.execute(sa.select(LOGINS).where(LOGINS.c.state_sha256 == digest(state))).one_or_none()
    if row is None or row.expires_at <= tool.clock():
        raise Refused("This login has expired. Open the link in your learning platform once more.")
    if row.used_at is not None:
        raise Refused("This login has been used already. Open the link in your learning platform once more.")
    platform = find_platform(tool, row.platform)
    again = {
        "iss": platform.issuer,
        "client_id": platform.client_id,
        "login_hint": row.login_hint,
        "target_link_uri": row.target_link_uri,
    }
    if row.message_hint is not None:
        again["lti_message_hint"] = row.message_hint
    return Login(
        state_sha256=row.state_sha256,
        platform=platform,
        nonce=row.nonce,
        target_link_uri=row.target_link_uri,
        storage_target=row.storage_target or "",
        again=f"{tool.base}/lti/login?{urlencode(again)}",
        binding_sha256=row.binding_sha256,
        stored_sha256=row.stored_sha256,
    )


def take_login(tool: Tool, login: Login, now: datetime) -> None:
    """
    Use a login up.

    Raises:
        Refused: It has been used.
    """
    unused = sa.and_(LOGINS.c.state_sha256 == login.state_sha256, LOGINS.c.used_at.is_(None))
    with tool.database.begin() as connection:
        if connection.execute(sa.update(LOGINS).where(unused).values(used_at=now)).rowcount != 1:
            raise Refused("This login has been used already. Open the link in your learning platform once more.")
