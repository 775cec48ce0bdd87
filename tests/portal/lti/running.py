"""
The tool and a platform as real servers on this machine, with https, and a browser without a screen.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import html.parser
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from grader.portal.audit import acts
from grader.portal.lti.deeplinks import Choice
from grader.portal.lti.launch import Launch
from grader.portal.lti.platforms import Platform, add_platform
from grader.portal.lti.routes import lti_routes
from grader.portal.lti.tables import ITEMS, METADATA
from grader.portal.lti.tool import CLAIM, Tool
from grader.portal.lti.web import Answer, Web, is_public, open_client, resolve
from grader.portal.tables import AUDIT
from tests.postgresql import PROGRAMS, Server

LMS = "lms.test"
"""A host that only `Network` knows."""
DATABASES = ("sqlite", "postgresql")
CHOICES = [Choice("week1", "Week 1 <gradients>", 10), Choice("week2", "Week 2", 7.5)]
ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
AGS = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"


Claims = dict[str, Any]


@dataclass(frozen=True)
class Certificates:
    """A server's certificate, and the authority that signed it."""

    authority: Path
    chain: Path

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


def make_certificates(folder: Path) -> Certificates:
    now = dt.datetime.now(dt.timezone.utc)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "server")]
    hosts = [x509.DNSName("localhost"), x509.DNSName(LMS), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = []
    for is_authority, key, name in ((True, keys[0], names[0]), (False, keys[1], names[1])):
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(names[0]).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
        builder = builder.not_valid_after(now + dt.timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(made[0])
    chain.write_bytes(keys[1].private_bytes(encoding, form, serialization.NoEncryption()) + made[1])
    return Certificates(authority, chain)


@contextlib.contextmanager
def serve(app: Callable[[int], Starlette], certificates: Certificates) -> Iterator[int]:
    """Serve an application, which is told its port, until the context is left."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        config = uvicorn.Config(
            app(port), log_level="error", ssl_certfile=str(certificates.chain), lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield port
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def open_empty(kind: str, folder: Path) -> Iterator[sa.Engine]:
    """An empty database of a kind, in a folder."""
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            engine = sa.create_engine(f"sqlite:///{folder / 'portal.db'}", connect_args={"timeout": 30})
        elif PROGRAMS is None:
            pytest.skip("no PostgreSQL is installed")
        else:
            url = stack.enter_context(contextlib.closing(Server())).url
            engine = sa.create_engine(url.replace("postgresql", "postgresql+psycopg"))
        stack.callback(engine.dispose)
        yield engine


class Clock:
    """The time, which tests may move."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.timezone.utc) + self.ahead

    def move(self, **amount: float) -> None:
        self.ahead += dt.timedelta(**amount)


class Network:
    """Finds addresses of hosts, of which a test may say what they are, and which of them count as public."""

    def __init__(self) -> None:
        self.hosts: dict[str, list[str]] = {}
        self.public: set[str] = set()

    def find(self, host: str, port: int) -> list[str]:
        return self.hosts[host] if host in self.hosts else resolve(host, port)

    def allows(self, address: str) -> bool:
        return address in self.public or is_public(address)


def acts_of(tool: Tool, *, most: int = 10) -> list[tuple[str, str, str]]:
    """The newest lines of the audit trail, the oldest of them first: who did what, and about what."""
    with tool.database.begin() as connection:
        return [(act.by, act.what, act.about) for _, act in reversed(acts(connection, most=most))]


def add_column(tool: Tool, base: str, **changes: Any) -> int:
    """A platform at this address. Returns the number of a column in its gradebook, of which the address is known."""
    addresses: dict[str, Any] = {f"{name}_address": f"{base}/{name}" for name in ("authorization", "token", "keys")}
    known = add_platform(tool, issuer=base, client_id="c", by="test", **addresses)
    texts = dict.fromkeys(("scopes", "list_address", "resource_link", "assignment", "title", "reason"), "")
    values = {"platform": known.number, "place": "p", "address": f"{base}/items/1", "maximum": 4, "tries": 0, **texts}
    with tool.database.begin() as connection:
        made = sa.insert(ITEMS).values(**values | changes, reserved_until=tool.clock())
        return int(connection.execute(made.returning(ITEMS.c.number)).scalar_one())


class CrashingWeb(Web):
    """Sends requests, and crashes when one of a kind has arrived: by default a score."""

    def __init__(self, web: Web, at: str = "/scores") -> None:
        self.web = web
        self.at = at

    def send(self, method: str, address: str, **options: Any) -> Answer:
        answer = self.web.send(method, address, **options)
        if urlsplit(address).path.endswith(self.at):
            raise KeyboardInterrupt
        return answer


@dataclass
class Served:
    """The tool as it runs."""

    tool: Tool
    clock: Clock
    network: Network
    certificates: Certificates
    client: httpx.Client
    launches: list[Launch] = field(default_factory=list)

    def browser(self) -> httpx.Client:
        return httpx.Client(verify=self.certificates.trusting(), trust_env=False, timeout=30)


@contextlib.contextmanager
def served_tool(certificates: Certificates, database: sa.Engine, *, title: str = "Gradients") -> Iterator[Served]:
    METADATA.create_all(database)
    AUDIT.create(database, checkfirst=True)
    clock, network = Clock(), Network()
    with open_client(verify=certificates.trusting()) as client:
        web = Web(client, find_addresses=network.find, allows=network.allows)
        running: list[Served] = []

        def app(port: int) -> Starlette:
            tool = Tool(base=f"https://127.0.0.1:{port}", title=title, database=database, web=web, clock=clock)
            made = Served(tool, clock, network, certificates, client)
            running.append(made)

            def on_launch(request: Request, launch: Launch) -> Response:
                made.launches.append(launch)
                return PlainTextResponse(f"welcome {launch.subject}")

            return Starlette(routes=lti_routes(tool, lambda *_: None, on_launch, lambda: CHOICES))

        with serve(app, certificates):
            yield running[0]


@dataclass(frozen=True)
class Asked:
    """A request that the fake platform received."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class FakePlatform:
    """A platform that signs and answers whatever a test tells it to."""

    client_id = "client-1"

    def __init__(self, base: str) -> None:
        self.base = base
        self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.asked: list[Asked] = []
        self.answers: dict[str, Callable[[Asked], Response]] = {}
        self.answers["/jwks"] = lambda asked: JSONResponse(self.keys(self.key))
        self.answers["/token"] = lambda asked: JSONResponse(
            {"access_token": f"token-{self.count('/token')}", "token_type": "Bearer", "expires_in": 3600}
        )

    @staticmethod
    def keys(*keys: RSAKey) -> dict[str, Any]:
        return {"keys": [{**key.as_dict(private=False), "alg": "RS256", "use": "sig"} for key in keys]}

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            asked = Asked(
                request.method,
                request.url.path,
                dict(request.query_params),
                dict(request.headers),
                await request.body(),
            )
            self.asked.append(asked)
            known = self.answers.get(asked.path)
            response = known(asked) if known else PlainTextResponse("nothing here", status_code=404)
            response.headers["Connection"] = "close"  # so that the server does not wait for it when it ends
            return response

        return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])

    def add_to(self, tool: Tool, **changes: Any) -> Platform:
        values = {
            "issuer": self.base,
            "client_id": self.client_id,
            "authorization_address": f"{self.base}/authorize",
            "token_address": f"{self.base}/token",
            "keys_address": f"{self.base}/jwks",
            "deployments": ["deployment-1"],
            "by": "test",
        }
        return add_platform(tool, **(values | changes))

    def claims(self, started: dict[str, str], tool: Tool, now: float) -> dict[str, Any]:
        """What a student's launch says."""
        return {
            "iss": self.base,
            "aud": self.client_id,
            "sub": "student-1",
            "exp": now + 300,
            "iat": now,
            "nonce": started["nonce"],
            "name": "A. Student",
            f"{CLAIM}version": "1.3.0",
            f"{CLAIM}message_type": "LtiResourceLinkRequest",
            f"{CLAIM}deployment_id": "deployment-1",
            f"{CLAIM}target_link_uri": tool.launch_address,
            f"{CLAIM}resource_link": {"id": "link-1"},
            f"{CLAIM}roles": [f"{ROLE}Learner"],
            f"{CLAIM}context": {"id": "course-1", "title": "Gradients"},
            f"{CLAIM}custom": {"assignment": "week1"},
            AGS: {
                "scope": [f"https://purl.imsglobal.org/spec/lti-ags/scope/{name}" for name in SCOPES],
                "lineitems": f"{self.base}/items?type=7",
            },
            NRPS: {"context_memberships_url": f"{self.base}/members", "service_versions": ["2.0"]},
        }

    def sign(self, claims: dict[str, Any] | bytes, **header: Any) -> str:
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        return jws.serialize_compact({"alg": "RS256", "kid": self.key.kid, **header}, payload, self.key)


SCOPES = ["lineitem", "score", "result.readonly"]


@contextlib.contextmanager
def fake_platform(certificates: Certificates) -> Iterator[FakePlatform]:
    made: list[FakePlatform] = []

    def app(port: int) -> Starlette:
        made.append(FakePlatform(f"https://localhost:{port}"))
        return made[0].app()

    with serve(app, certificates):
        yield made[0]


def start(browser: httpx.Client, served: Served, platform: FakePlatform, **changes: str | None) -> httpx.Response:
    """A click on a link: the browser opens our login."""
    sent = {
        "iss": platform.base,
        "client_id": platform.client_id,
        "login_hint": "hint",
        "lti_message_hint": "message hint",
        "target_link_uri": served.tool.launch_address,
    }
    chosen = {name: value for name, value in (sent | changes).items() if value is not None}
    return browser.get(f"{served.tool.base}/lti/login", params=chosen)


def redirected(response: httpx.Response) -> dict[str, str]:
    """The query with which a login goes on."""
    assert response.status_code == 302, response.text
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def finish(browser: httpx.Client, served: Served, id_token: str, state: str, **more: str) -> httpx.Response:
    """The platform's page posts its answer."""
    sent = {"id_token": id_token, "state": state, **more}
    return browser.post(f"{served.tool.base}/lti/launch", data=sent, headers={"Origin": "https://localhost"})


def as_it_is(claims: Claims) -> None:
    pass


def launch(served: Served, platform: FakePlatform, change: Callable[[Claims], Any] = as_it_is) -> httpx.Response:
    """A whole launch, with changed claims."""
    with served.browser() as browser:
        started = redirected(start(browser, served, platform))
        claims = platform.claims(started, served.tool, served.clock().timestamp())
        change(claims)
        return finish(browser, served, platform.sign(claims), started["state"])


class Forms(html.parser.HTMLParser):
    """The forms of a page: where each goes, and the fields that are filled in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append((found.get("action", ""), {}))
        elif tag == "input" and "name" in found and found.get("type") not in ("radio", "checkbox"):
            self.forms[-1][1][found["name"]] = found.get("value", "")


def form_of(response: httpx.Response) -> tuple[str, dict[str, str]]:
    """The only form of a page."""
    (found,) = Forms(response.text).forms
    return found


def json_of(asked: Asked) -> Any:
    return json.loads(asked.body)
