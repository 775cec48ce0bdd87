"""
Runs a portal: the pages, and the workers that grade, until somebody stops it.
"""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from grader.classroom.pool import Workers
from grader.errors import UsageError
from grader.portal.dispatcher import Dispatcher
from grader.portal.lti.tool import Tool
from grader.portal.passback import Passback
from grader.portal.platforms import open_tool
from grader.portal.portal import Portal, open_portal
from grader.portal.web.app import build_app
from grader.portal.web.guard import Hosts
from grader.portal.web.protocol import PatientProtocol
from grader.portal.web.visit import Site

__all__ = ["Server", "listen", "make_room", "serve"]

MOST_CONNECTIONS = 4_000
OTHER_FILES = 200
"""How many files a server needs besides its connections."""
STOP_S = 5


def serve(folder: Path, workers: Workers, *, host: str, port: int, ready: Callable[[Portal, str], None]) -> None:
    """
    Serve a course until the process is told to stop. What waits in the queue then stays there for the next time.

    Args:
        port: 0 for any that is free.
        ready: Called with the address once the portal listens.

    Raises:
        UsageError: The course cannot be used, or the port is taken.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(listen(host, port)))
        portal = stack.enter_context(open_portal(folder))
        number = listener.getsockname()[1]
        tool = stack.enter_context(open_tool(portal, port=number))
        passback = Passback(portal, tool)
        dispatcher = Dispatcher(portal, workers, finished=passback.wake)
        site = Site(portal=portal, dispatcher=dispatcher, hosts=Hosts.of(portal.course.address, port=number))
        config = uvicorn.Config(
            build_app(site, tool, passback),
            http=PatientProtocol,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=make_room(MOST_CONNECTIONS),
            timeout_graceful_shutdown=STOP_S,
            proxy_headers=True,
            forwarded_allow_ips="127.0.0.1",
        )
        for thread in (dispatcher, passback):
            thread.start()
            stack.callback(thread.stop)
        ready(portal, portal.course.address or f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{number}")  # noqa: S104
        Server(config, portal, tool).run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn's server. When it stops, what waits for a change is answered at once, and platforms have some seconds."""

    def __init__(self, config: uvicorn.Config, portal: Portal, tool: Tool) -> None:
        super().__init__(config)
        self._portal = portal
        self._tool = tool

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._portal.changes.close()
        self._tool.web.end(STOP_S)  # threads that wait for a platform are waited for
        await super().shutdown(sockets)


def make_room(connections: int) -> int:
    """
    Let this process open as many connections, or as many as the system lets it.

    Services get room for 1,024 files, unless they ask. A class that has its pages open needs more, and a server without
    room would not even open its database.

    Returns:
        int: How many connections there is room for.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    room = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
    return max(room - OTHER_FILES, 1)


def listen(host: str, port: int) -> socket.socket:
    """
    A socket that accepts connections.

    Raises:
        UsageError: The port is taken, or the host is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # only then asyncio sets TCP_NODELAY
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"Port {port} of {host} cannot be used ({error.strerror}).", "Choose one with --port."
        ) from error
    return listener
