"""
What every request passes before a page sees it, and what every answer gets.

Requests for other hosts, forms from other sites, and bodies that are too large or take too long are refused. Answers
get a strict Content-Security-Policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "Hosts", "policy"]

KIB, MIB = 1 << 10, 1 << 20
OTHER_FORMS_BYTES = 256 * KIB
UPLOAD_BYTES = 33 * MIB
DRAINED_BYTES = 256 * MIB
"""How much of a body that is too large is read: browsers show no answer before they have sent all of it."""
BODY_S = 120.0
"""How long the body of a request may take, in seconds."""
OPEN_PATHS = ("/api/", "/lti/")
"""Programs and learning platforms send requests to these from elsewhere; they have checks of their own."""
LARGE_PATHS = ("/assignments/", "/api/submissions", "/roster")
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclasses.dataclass(frozen=True, slots=True)
class Hosts:
    """
    The hosts that the portal answers to.

    Attributes:
        names: In lower case, with the port if it is not the usual one.
        is_secure: Whether browsers reach the portal by https.
    """

    names: frozenset[str]
    is_secure: bool

    @staticmethod
    def of(address: str, *, port: int) -> Hosts:
        """The host of the course's address, and those of this machine's loopback."""
        loopback = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        named = {urlsplit(address).netloc.lower()} if address else set[str]()
        return Hosts(frozenset(named | loopback), address.startswith("https:"))


def policy(*, frame_ancestors: str = "'none'") -> str:
    """The Content-Security-Policy of the portal's own pages."""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action 'self'; frame-src 'self'; frame-ancestors {frame_ancestors}; base-uri 'none'"
    )


class Guard:
    """The middleware around all pages."""

    def __init__(self, app: ASGIApp, hosts: Hosts, ancestors: Callable[[], str] = lambda: "'none'") -> None:
        self._app = app
        self._hosts = hosts
        self._ancestors = ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        refusal = self._why_not(scope["method"], path, headers)
        if refusal is not None:
            status, reason = refusal
            await PlainTextResponse(f"{reason}\n", status)(scope, receive, self._with_headers(send))
            return
        limit = UPLOAD_BYTES if path.startswith(LARGE_PATHS) else OTHER_FORMS_BYTES
        if int(headers.get("content-length") or 0) > limit:
            await _drain(_Bounded(receive, DRAINED_BYTES))
            answer = PlainTextResponse("The file is too large.\n", 413, {"connection": "close"})
            await answer(scope, receive, self._with_headers(send))
            return
        await self._app(scope, _Bounded(receive, limit), self._with_headers(send))

    def _why_not(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        if headers.get("host", "").lower() not in self._hosts.names:
            return 421, "This server has another name."
        length = headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            return 400, "The length of the request is not a number."
        if method in SAFE and ("transfer-encoding" in headers or (length or "0").strip("0")):
            return (
                400,
                "Only forms have a body.",
            )  # a stream would wait for it, and fail in the middle
        if not _is_utf8(headers.get("content-type", "")):
            return 415, "The form is not in UTF-8."
        if method in SAFE or path.startswith(OPEN_PATHS):
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        is_ours = origin is None or _host_of(origin) in self._hosts.names
        if not is_ours or site not in (None, "same-origin", "none"):
            return 403, "This form was sent from another site."
        return None

    def _with_headers(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", policy(frame_ancestors=self._ancestors()))
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("referrer-policy", "same-origin")
                headers.setdefault("cache-control", "no-store")
                headers.setdefault("cross-origin-resource-policy", "same-origin")
                headers.setdefault("permissions-policy", "camera=(), geolocation=(), microphone=()")
                if self._hosts.is_secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        return sent


def _host_of(origin: str) -> str:
    """The host of an origin; empty if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_utf8(content_type: str) -> bool:
    """
    Whether a form with parts is in UTF-8, as browsers send it.

    Forms may name any codec of Python, and some take minutes for a long text, or give texts that nothing can save.
    """
    kind, options = parse_options_header(content_type)
    return kind != b"multipart/form-data" or options.get(b"charset", b"utf-8").lower() in (b"utf-8", b"utf8")


async def _drain(receive: Receive) -> None:
    with contextlib.suppress(HTTPException):
        while (await receive()).get("more_body", False):
            pass


class _Bounded:
    """Receives a body up to a size, and up to a moment."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._deadline = time.monotonic() + BODY_S
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:  # what comes now is that the browser has left: pages may wait for that
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._deadline - time.monotonic())
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise HTTPException(408, "The request took too long.") from error
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if self._left < 0:
                raise HTTPException(413, "The file is too large.")
        return message
