"""
Requests to a platform's services, with an access token that it gives to whoever signs with our key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from grader.portal.lti.keys import sign
from grader.portal.lti.platforms import Platform
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.tokens import TokenKey
from grader.portal.lti.tool import Tool, make_secret
from grader.portal.lti.web import Answer, origin_of

__all__ = ["call", "pages", "under", "with_query"]

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_VALIDITY_S = 3600
LIST_S = 60.0
"""How long the pages of a list may take: whoever reads them keeps others waiting."""
TOKEN = re.compile(r"[\x21-\x7e]{1,20000}")
UNAUTHORIZED = 401


def call(
    tool: Tool,
    platform: Platform,
    scopes: Iterable[str],
    method: str,
    address: str,
    *,
    accept: str = "",
    content_type: str = "",
    content: bytes | None = None,
    **options: Any,
) -> Answer:
    """
    Ask a service of a platform. If it does not take the token, ask once more with a new one.

    Args:
        tool: This portal.
        platform: Whose service it is.
        scopes: What the token must allow.
        method: GET or POST.
        address: The service's.
        accept: The media type of the answer.
        content_type: The media type of the body.
        content: The body.
        options: For `Web.send`.

    Returns:
        The answer, whatever its status is.

    Raises:
        PlatformFailure: There is none, or no token.
    """
    key = TokenKey(platform.number, platform.client_id, tuple(sorted(scopes)))
    headers = {name: value for name, value in (("Accept", accept), ("Content-Type", content_type)) if value}
    options |= {"is_guarded": platform.is_registered_by_itself, "content": content}
    token = _token(tool, platform, key)
    answer = tool.web.send(method, address, headers={**headers, "Authorization": f"Bearer {token}"}, **options)
    if answer.status == UNAUTHORIZED:
        tool.tokens.drop(key, token)
        token = _token(tool, platform, key)
        answer = tool.web.send(method, address, headers={**headers, "Authorization": f"Bearer {token}"}, **options)
    return answer


def pages(
    tool: Tool, platform: Platform, scopes: Iterable[str], address: str, *, accept: str, most: int, limit: int
) -> Iterator[Answer]:
    """
    The pages of a list, one after the other.

    Args:
        tool: This portal.
        platform: Whose service it is.
        scopes: What the token must allow.
        address: The first page's.
        accept: The media type.
        most: How many pages are read.
        limit: The bytes that a page may have.

    Raises:
        PlatformFailure: A page does not come, or too slowly, or there are too many, or the next one is elsewhere.
    """
    seen: set[str] = set()
    scopes, started = tuple(scopes), time.monotonic()
    while address:
        if address in seen or len(seen) >= most:
            raise PlatformFailure("The platform's list does not end.")
        seen.add(address)
        answer = call(tool, platform, scopes, "GET", address, accept=accept, limit=limit)
        if not 200 <= answer.status < 300:
            raise PlatformFailure(f"The platform answered with status {answer.status}.", status=answer.status)
        yield answer
        address = _following(address, answer.next_address) if answer.next_address else ""
        if address and time.monotonic() - started > LIST_S:
            raise PlatformFailure("The platform's list comes too slowly.")


def under(address: str, name: str) -> str:
    """The address of something that belongs to a line item. It stands before the query, which some platforms have."""
    parts = urlsplit(address)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


def with_query(address: str, **values: str) -> str:
    """An address with more values in its query."""
    parts = urlsplit(address)
    known = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in values]
    return parts._replace(query=urlencode([*known, *values.items()])).geturl()


def _following(address: str, named: str) -> str:
    """The address of a list's next page, as the page at an address names it."""
    try:
        following = urljoin(address, named)
        if origin_of(following) == origin_of(address):
            return following
    except ValueError:
        pass
    raise PlatformFailure("The platform's list goes on at another host.")


def _token(tool: Tool, platform: Platform, key: TokenKey) -> str:
    now = tool.clock()
    known = tool.tokens.find(key, now)
    if known:
        return known
    assertion = sign(
        tool,
        {
            "iss": platform.client_id,
            "sub": platform.client_id,
            "aud": platform.token_audience,
            "jti": make_secret(),
        },
    )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion,
        "scope": " ".join(key.scopes),
    }
    is_guarded = platform.is_registered_by_itself
    answer = tool.web.expect("POST", platform.token_address, is_guarded=is_guarded, form=form)
    found = answer.object()
    token, kind, lasts = found.get("access_token"), found.get("token_type"), found.get("expires_in", 0)
    if not isinstance(token, str) or not TOKEN.fullmatch(token) or str(kind).lower() != "bearer":
        raise PlatformFailure("The platform's answer contains no access token.", status=answer.status)
    if isinstance(lasts, (int, float)) and lasts > 0:
        tool.tokens.keep(key, token, now + timedelta(seconds=min(lasts, LONGEST_VALIDITY_S)))
    return token
