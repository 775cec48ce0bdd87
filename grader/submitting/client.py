"""
Speaks with a portal over HTTP, by the standard library alone.

The key goes to the saved address and nowhere else: no redirect is followed, and what a portal on this machine gets does
not pass a proxy. Whatever comes back is bounded and checked.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from grader.errors import GraderFault, UsageError
from grader.submitting.progress import Progress, progress_of, text_in
from grader.submitting.saved import UserPortal

__all__ = ["Client", "NotThere", "Unreachable"]

ANSWER_BYTES = 1 << 20
TIMEOUT_S = 30.0
"""How long the portal may be silent, in seconds, beyond what it was asked to wait."""
UPLOAD_S = 120.0
WAIT_S = 20


class Unreachable(GraderFault):
    """The portal does not answer, or is busy; a moment later it may."""


class NotThere(UsageError):  # noqa: N818 - what happened, not who is at fault
    """The portal does not have what it was asked for, or not for this user."""


class Client:
    """A portal, asked by the user's key."""

    def __init__(self, portal: UserPortal) -> None:
        self.portal = portal
        self._opener = urllib.request.OpenerDirector()
        proxies = urllib.request.ProxyHandler({} if portal.is_here else None)
        context = ssl.create_default_context()
        for handler in (
            proxies,
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    def assignments(self) -> tuple[str, list[str]]:
        """
        Whose key it is, and the assignments that are open.

        Raises:
            UsageError: The key does not count.
            GraderFault: The portal cannot be reached, or is none.
        """
        answer = self._ask("GET", "/api/assignments")
        listed = answer.get("assignments")
        if not isinstance(listed, list):
            raise self._strange()
        ids = [text_in(each, "id") for each in listed if isinstance(each, Mapping)]
        return text_in(answer, "student"), [each for each in ids if each]

    def hand_in(self, assignment: str, name: str, content: bytes) -> Progress:
        """
        Hand in a file.

        Raises:
            NotThere: There is no such assignment, or it is not open yet.
            UsageError: It was refused; the message is the portal's sentence.
            GraderFault: The portal cannot be reached. Handing the same file in again does no harm.
        """
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        }
        path = f"/api/submissions/{quote(assignment, safe='')}"
        try:
            return self._progress(self._ask("POST", path, content=content, headers=headers, timeout=UPLOAD_S))
        except Unreachable as error:
            again = "If you hand the same file in again, it counts once."
            raise Unreachable(f"{error.message} It is not certain whether the file has arrived.", again) from error

    def look(self, attempt: int, *, while_: str = "") -> Progress:
        """
        How an attempt stands. The portal answers as soon as it is no longer in this state, or after some seconds.

        Raises:
            NotThere: The user has no such attempt.
            UsageError: The key does not count any more.
            GraderFault: The portal cannot be reached.
        """
        query = f"?wait={WAIT_S}&while={quote(while_, safe='')}" if while_ else ""
        return self._progress(self._ask("GET", f"/api/submissions/{attempt}{query}", timeout=TIMEOUT_S + WAIT_S))

    def page(self, attempt: int) -> str:
        """The address of an attempt's page."""
        return f"{self.portal.address}/attempts/{attempt}"

    def _progress(self, answer: Mapping[str, Any]) -> Progress:
        progress = progress_of(answer)
        if progress is None:
            raise self._strange()
        return progress

    def _ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the address was checked: http or https
            self.portal.address + path,
            data=content,
            headers={"Authorization": f"Bearer {self.portal.key}", "Accept": "application/json", **(headers or {})},
            method=method,
        )
        try:
            status, location, text = self._exchange(request, timeout)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if 200 <= status < 300:
            if not isinstance(answer, dict):
                raise self._strange()
            return answer
        said = text_in(answer, "error") if isinstance(answer, dict) else ""
        raise self._refused(status, said, location)

    def _exchange(self, request: urllib.request.Request, timeout: float) -> tuple[int, str, bytes]:
        deadline = time.monotonic() + timeout
        try:
            answer = self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        assert answer is not None
        with answer:
            text = bytearray()
            while chunk := answer.read(1 << 16) if answer.fp is None else answer.read1(1 << 16):
                text += chunk
                if len(text) > ANSWER_BYTES:
                    raise self._strange()
                if time.monotonic() > deadline:
                    raise TimeoutError("timed out")
            return answer.status, answer.headers.get("location", ""), bytes(text)

    def _refused(self, status: int, said: str, location: str) -> UsageError | GraderFault:
        if status == 401:
            return UsageError(
                "The portal does not accept your key: it was replaced or revoked.",
                "Make a new one on the portal's home page, and follow what it says.",
            )
        if 300 <= status < 400:
            try:
                elsewhere = urlsplit(location)
                to = f" to {elsewhere.scheme}://{elsewhere.hostname}" if elsewhere.hostname else ""
            except ValueError:
                to = ""
            return UsageError(
                f"{self.portal.address} sends programs elsewhere{to}. Your key was not sent there.",
                "If you trust that address, save it with --portal.",
            )
        if status == 404:
            return NotThere(f"{self.portal.address} does not have that.", "Check the address and the id.")
        if status == 429 or status >= 500:
            return Unreachable(said or f"The portal is not well (HTTP {status}).", "Try again in a minute.")
        if status == 413 and not said:
            said = "The file is too large."
        return UsageError(said or f"The portal refused that (HTTP {status}).")

    def _unreachable(self, error: Exception) -> GraderFault:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            return GraderFault(
                f"The certificate of {self.portal.address} cannot be verified ({reason.verify_message}).",
                "Nothing was sent. Ask your instructor whether the address is right.",
            )
        if isinstance(reason, TimeoutError):
            what = "no answer in time"
        else:
            what = getattr(reason, "strerror", None) or type(reason).__name__
        return Unreachable(
            f"The portal {self.portal.address} cannot be reached ({what}).", "Check your network, and try again."
        )

    def _strange(self) -> GraderFault:
        return GraderFault(f"What {self.portal.address} answers is not the answer of a portal.", "Check the address.")
