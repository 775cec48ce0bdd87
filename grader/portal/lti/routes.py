"""
The protocol as pages: `/lti/login`, `/lti/launch`, `/lti/jwks`, `/lti/deep-link` and `/lti/register`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from grader.portal.lti import pages
from grader.portal.lti.deeplinks import Choice, answer_deep_link, keep_deep_link
from grader.portal.lti.keys import public_keys
from grader.portal.lti.launch import Launch, accept_launch
from grader.portal.lti.login import Login, find_login, start_login
from grader.portal.lti.refusals import PlatformFailure, Refused
from grader.portal.lti.registration import check_invitation, register
from grader.portal.lti.tool import Tool, digest
from grader.portal.lti.web import origin_of

__all__ = ["COOKIE", "lti_routes"]

COOKIE = "__Host-grader-lti"
FORM_LIMIT = 256 * 1024
MOST_FIELDS = 100
KEYS_MAY_BE_KEPT_S = 3600
ERROR = re.compile(r"[a-zA-Z_]{1,40}")

OnLaunch = Callable[[Request, Launch], Response]
KeepOut = Callable[[Request, Launch], Response | None]
Fields = Sequence[tuple[str, str]]


def lti_routes(
    tool: Tool, keep_out: KeepOut, on_launch: OnLaunch, offered: Callable[[], Sequence[Choice]]
) -> list[Route]:
    """
    The routes of the protocol.

    Args:
        tool: This portal.
        keep_out: The page for those who do not get in, nor make a link; None for all others. It runs in a thread, too.
        on_launch: Signs the person in whom a platform vouches for, and shows what the link opens. It runs in a thread.
        offered: The assignments that a link may open.
    """
    steps = _Steps(tool, keep_out, on_launch, offered)
    return [
        Route("/lti/login", _page(steps.login), methods=["GET", "POST"]),
        Route("/lti/launch", _page(steps.launch), methods=["POST"]),
        Route("/lti/jwks", _page(steps.keys), methods=["GET"]),
        Route("/lti/deep-link", _page(steps.deep_link), methods=["POST"]),
        Route("/lti/register", _page(steps.registration), methods=["GET", "POST"]),
    ]


@dataclass(frozen=True)
class _Steps:
    """What each route does, in a thread, with the fields that were sent."""

    tool: Tool
    keep_out: KeepOut
    on_launch: OnLaunch
    offered: Callable[[], Sequence[Choice]]

    def login(self, request: Request, fields: Fields) -> Response:
        started = start_login(self.tool, dict(fields), request.cookies.get(COOKIE, ""))
        if started.storage_target:
            response: Response = pages.show(
                "storing",
                title="One moment",
                target=started.storage_target,
                origin=origin_of(started.platform.authorization_address),
                key=_storage_key(digest(started.state)),
                value=started.stored,
                following=started.address,
            )
        else:
            response = RedirectResponse(started.address, status_code=302)
        response.headers.append("Set-Cookie", _cookie(started.binding))
        response.headers["Cache-Control"] = "no-store"
        return response

    def launch(self, request: Request, fields: Fields) -> Response:
        form = dict(fields)
        found = find_login(self.tool, form.get("state", ""))
        if "error" in form:
            named = form["error"] if ERROR.fullmatch(form["error"]) else "an error without a name"
            raise Refused(f"Your learning platform did not sign you in: {named}. Sign in there once more.", status=403)
        cookie = request.cookies.get(COOKIE, "")
        # Only our own page can have read the secret from the platform's storage.
        stored = form.get("stored", "") if request.headers.get("Origin") == self.tool.base else ""
        if found.storage_target and "stored" not in form and not found.is_of(cookie):
            return _checking(found, form)
        accepted = accept_launch(self.tool, found, form.get("id_token", ""), cookie=cookie, stored=stored)
        kept_out = self.keep_out(request, accepted)
        if kept_out is not None:
            return kept_out
        if accepted.deep_link is None:
            return self.on_launch(request, accepted)
        return pages.show(
            "choosing",
            title="Make a link",
            form_action="'self'",
            ticket=keep_deep_link(self.tool, accepted),
            choices=self.offered(),
            several=accepted.deep_link.accepts_several,
        )

    def keys(self, request: Request, fields: Fields) -> Response:  # noqa: ARG002
        headers = {"Cache-Control": f"public, max-age={KEYS_MAY_BE_KEPT_S}"}
        return JSONResponse(public_keys(self.tool), headers=headers)

    def deep_link(self, request: Request, fields: Fields) -> Response:  # noqa: ARG002
        names = [value for name, value in fields if name == "assignment"]
        answer = answer_deep_link(self.tool, dict(fields).get("ticket", ""), names, self.offered())
        target = pages.form_target(answer.address)
        return pages.show("posting", title="Make a link", form_action=target, address=answer.address, jwt=answer.jwt)

    def registration(self, request: Request, fields: Fields) -> Response:
        parameters = dict(fields)
        if request.method == "GET":
            host = check_invitation(self.tool, parameters)
            sent = {name: parameters.get(name, "") for name in ("code", "openid_configuration", "registration_token")}
            return pages.show(
                "registering", title="Connect a learning platform", form_action="'self'", host=host, parameters=sent
            )
        platform = register(self.tool, parameters)
        return pages.show("registered", title="Connected", platform=platform.title)


def _page(handler: Callable[[Request, Fields], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that reads what was sent, works in a thread, and turns a refusal into a page."""

    async def endpoint(request: Request) -> Response:
        try:
            fields = await _read_form(request) if request.method == "POST" else request.query_params.multi_items()
            return await run_in_threadpool(handler, request, fields)
        except Refused as refused:
            return _refused(refused.sentence, refused.status, refused.again)
        except PlatformFailure as failure:
            return _refused(failure.sentence, 502, "")

    return endpoint


async def _read_form(request: Request) -> Fields:
    """
    The fields of a form that was posted.

    Raises:
        Refused: It is too long, or no form.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMIT:
            raise Refused("The learning platform sent more than the portal reads.", status=413)
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Refused("The learning platform sent something that is no form.", status=415)
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refused("The learning platform sent something that is no form.") from None


def _cookie(binding: str) -> str:
    """The header that also works in a frame on another site, where a browser allows it."""
    return f"{COOKIE}={binding}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"


def _storage_key(state_sha256: str) -> str:
    return f"grader-lti-{state_sha256[:16]}"


def _checking(login: Login, form: Mapping[str, str]) -> Response:
    """The page that reads the secret from the platform's storage, since the browser sent no cookie."""
    return pages.show(
        "checking",
        title="One moment",
        form_action="'self'",
        target=login.storage_target,
        origin=origin_of(login.platform.authorization_address),
        key=_storage_key(login.state_sha256),
        state=form.get("state", ""),
        id_token=form.get("id_token", ""),
        again=login.again,
    )


def _refused(sentence: str, status: int, again: str) -> Response:
    return pages.show("refused", title="This did not work", status=status, sentence=sentence, again=again)
