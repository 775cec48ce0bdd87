"""
Requests to a platform: bounded in size and time, and never redirected.

A request is guarded if a stranger named its address: then it goes to the public internet only, and to the very address
that was checked.
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx

from grader.portal.lti.refusals import PlatformFailure

__all__ = [
    "LONGEST_WAIT_S",
    "TIMEOUT_S",
    "Answer",
    "Web",
    "is_loopback",
    "is_public",
    "is_service_address",
    "open_client",
    "origin_of",
    "pause_after",
    "resolve",
    "shown",
    "wait_of",
]

TIMEOUT_S = 10.0
"""How long one step of a request may take."""
DEADLINE_S = 30.0
"""How long a whole request may take, however steadily it drips."""
SIZE_LIMIT = 256 * 1024
"""The bytes of an answer, unless its reader allows more."""
LONGEST_WAIT_S = 24 * 3600.0
PORTS = {"https": 443, "http": 80}

HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
"""A name or an address. Names in other letters are written as `xn--…`."""
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""The addresses of version 6 that a network turns into ones of version 4."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Answer:
    """What a platform answered, read completely."""

    status: int
    body: bytes
    next_address: str = ""
    """The next page, if the answer names one."""
    retry_after: str = ""
    """When to ask again, as the platform says it."""

    def json(self) -> Any:
        """
        The body as JSON.

        Raises:
            PlatformFailure: It is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise PlatformFailure("The platform's answer is not JSON.", status=self.status) from None

    def object(self) -> dict[str, Any]:
        """
        The body as an object of JSON.

        Raises:
            PlatformFailure: It is none.
        """
        found = self.json()
        if not isinstance(found, dict):
            raise PlatformFailure("The platform's answer is not an object of JSON.", status=self.status)
        return found


def open_client(**options: Any) -> httpx.Client:
    """
    A client for platforms: with time-outs, without redirects and cookies, and without proxies from the environment.

    Each request has a connection of its own, which its deadline ends.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    options = {"limits": limits, "cookies": none, **options}
    return httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, **options)


def resolve(host: str, port: int) -> list[str]:
    """
    All addresses of a host.

    Raises:
        OSError: It has none.
    """
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Whether an address is one of the internet, and neither of this machine nor of its networks."""
    try:
        found: Address = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in TRANSLATED:
            inner = ipaddress.IPv4Address(found.packed[12:])
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, where a platform may be tried out without https."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def origin_of(address: str) -> str:
    """
    Scheme, host and port of an address.

    Raises:
        ValueError: It is not the address of a web page.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme not in PORTS or not HOST.fullmatch(host) or parts.username is not None:
        raise ValueError("not a web address")
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def is_service_address(address: str) -> bool:
    """Whether requests may go to an address: by https, or on this machine."""
    try:
        origin_of(address)
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def shown(address: str) -> str:
    """The host of an address, for a sentence."""
    with contextlib.suppress(ValueError):
        return (urlsplit(address).hostname or "its address")[:100]
    return "its address"


class Web:
    """
    Sends requests to platforms.

    Args:
        client: From `open_client`.
        find_addresses: Turns a host and a port into all its addresses.
        allows: Says whether a guarded request may go to an address.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        find_addresses: Callable[[str, int], list[str]] = resolve,
        allows: Callable[[str], bool] = is_public,
    ) -> None:
        self._client = client
        self._find_addresses = find_addresses
        self._allows = allows
        self._lock = threading.Lock()
        self._on_their_way = set[_Deadline]()
        self._has_ended = False

    def end(self, within_s: float) -> None:
        """Begin no more requests; those on their way may take some seconds, and are ended then."""
        with self._lock:
            self._has_ended = True
            for deadline in self._on_their_way:
                deadline.shorten(within_s)

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[_Deadline]:
        """The deadline of a request, which `end` may shorten."""
        with self._lock:
            if self._has_ended:
                raise PlatformFailure("The portal stops, and asks nobody any more.")
            deadline = _Deadline(DEADLINE_S)
            self._on_their_way.add(deadline)
        try:
            with deadline:
                yield deadline
        finally:
            with self._lock:
                self._on_their_way.discard(deadline)

    def send(
        self,
        method: str,
        address: str,
        *,
        is_guarded: bool,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        limit: int = SIZE_LIMIT,
    ) -> Answer:
        """
        Send a request and read the answer.

        Args:
            method: GET or POST.
            address: Where to.
            is_guarded: Whether a stranger named the address: then it must be public.
            headers: In addition to the usual ones.
            content: The body, if there is one.
            form: The body as a form.
            limit: How many bytes the answer may have.

        Returns:
            The answer, whatever its status is.

        Raises:
            PlatformFailure: There is none, or it is too long, or the address is not allowed.
        """
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        target, extensions = self._target(address, sent, is_guarded=is_guarded)
        with (
            self._deadline() as deadline,
            _translated(address, deadline),
            self._client.stream(
                method, target, headers=sent, content=content, data=form, extensions=extensions | deadline.extension
            ) as response,
        ):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise PlatformFailure(f"{shown(address)} compressed its answer, although it was asked not to.")
            body = bytearray()
            for part in response.iter_raw(16 * 1024):
                body += part
                if len(body) > limit:
                    raise PlatformFailure(f"The answer of {shown(address)} is too long.", status=response.status_code)
            if deadline.has_passed:  # otherwise half a body might look like a whole one
                raise PlatformFailure(f"{shown(address)} answers too slowly.", status=response.status_code)
            return Answer(
                response.status_code,
                bytes(body),
                next_address=response.links.get("next", {}).get("url", ""),
                retry_after=response.headers.get("Retry-After", ""),
            )

    def expect(self, method: str, address: str, *, is_guarded: bool, **options: Any) -> Answer:
        """
        Send a request and read the answer, which must be one of success.

        Raises:
            PlatformFailure: As from `send`, or the status is another one.
        """
        answer = self.send(method, address, is_guarded=is_guarded, **options)
        if not 200 <= answer.status < 300:
            raise PlatformFailure(f"{shown(address)} answered with status {answer.status}.", status=answer.status)
        return answer

    def _target(self, address: str, headers: dict[str, str], *, is_guarded: bool) -> tuple[str, dict[str, Any]]:
        """Where the request goes: for a guarded one to an address that was checked, so that no other is looked up."""
        try:
            origin_of(address)
            parts = urlsplit(address)
            port = parts.port or PORTS[parts.scheme]
        except ValueError:
            raise PlatformFailure("The platform named something that is not a web address.") from None
        host = parts.hostname or ""
        if parts.scheme != "https" and (is_guarded or not is_loopback(host)):
            raise PlatformFailure(f"The address at {shown(address)} is not https.")
        if not is_guarded:
            return address, {}
        try:
            found = self._find_addresses(host, port)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise PlatformFailure(f"There is no host {shown(address)}.")
        if not all(self._allows(each) for each in found):
            raise PlatformFailure(f"{shown(address)} is not on the public internet.")
        headers["Host"] = parts.netloc
        pinned = f"[{found[0]}]" if ":" in found[0] else found[0]
        return parts._replace(netloc=f"{pinned}:{port}").geturl(), {"sni_hostname": host}


class _Deadline(contextlib.AbstractContextManager["_Deadline"]):
    """
    Ends a request that takes too long by ending its connection, whatever the request waits for.

    Time-outs do not: each byte of a head may come in time, and the head never.

    Attributes:
        extension: Tells a request's connection; see *Extensions* in the documentation of HTTPX.
        has_passed: Whether it was too late.
    """

    def __init__(self, seconds: float) -> None:
        self.extension = {"trace": self._trace}
        self.has_passed = False
        self._connections: list[socket.socket] = []
        self._timer = self._start(seconds)

    def shorten(self, seconds: float) -> None:
        """End the request in some seconds, if its time is not over before."""
        self._timer.cancel()
        self._timer = self._start(seconds)

    def _start(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._pass)
        timer.daemon = True
        timer.start()
        return timer

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for connection in self._connections:
            connection.close()

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            # TLS takes the socket itself over, and leaves a copy as it is.
            self._connections.append(info["return_value"].get_extra_info("socket").dup())
            if self.has_passed:
                self._pass()

    def _pass(self) -> None:
        self.has_passed = True
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _translated(address: str, deadline: _Deadline) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        if deadline.has_passed:
            raise PlatformFailure(f"{shown(address)} answers too slowly.") from error
        if isinstance(error, httpx.TimeoutException):
            raise PlatformFailure(f"{shown(address)} did not answer in time.") from error
        raise PlatformFailure(f"{shown(address)} could not be reached.") from error


def pause_after(tries: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after a number of tries, from 1 on, that failed in a row: each time twice as long."""
    return min(first * 2.0 ** min(tries - 1, 20), longest)


def wait_of(header: str, now: datetime) -> float:
    """The seconds that a Retry-After asks for, within bounds; 0 if it cannot be read."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(header) - now).total_seconds()
        except (ValueError, TypeError):
            return 0
    return min(max(seconds, 0), LONGEST_WAIT_S) if seconds == seconds else 0
