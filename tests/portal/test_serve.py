"""The process that serves: its connections, and the workers beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import psutil
import pytest

from grader.portal.serve import listen

from .server import Portal


def test_an_answer_does_not_wait_for_the_client_s_acknowledgement() -> None:
    """A header and a body are two packets: without TCP_NODELAY, the second one comes 40 ms later."""

    async def option_of_a_connection() -> int:
        found = asyncio.get_running_loop().create_future()

        async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with contextlib.closing(listen("127.0.0.1", 0)) as listener:
            async with await asyncio.start_server(accepted, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                option = await asyncio.wait_for(found, 60)
                writer.close()
        return int(option)

    assert asyncio.run(option_of_a_connection()) == 1


@pytest.mark.slow
def test_grading_gives_way_to_the_pages(portal: Portal) -> None:
    """Workers, and all that they start, are nicer than the server."""
    portal.wait_ready()
    server = psutil.Process(portal.process.pid)
    assert server.nice() == psutil.Process().nice()
    workers = [child for child in server.children() if "spawn_main" in " ".join(child.cmdline())]
    assert workers
    assert all(child.nice() > server.nice() for worker in workers for child in (worker, *worker.children(True)))
