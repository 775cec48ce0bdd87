"""
The portal as a tool of learning platforms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from grader.portal.course import open_course
from grader.portal.database import open_database
from grader.portal.lti.tool import Tool
from grader.portal.lti.web import Web, open_client
from grader.portal.portal import Portal

__all__ = ["open_tool", "tool_of"]


@contextlib.contextmanager
def open_tool(portal: Portal, *, port: int) -> Iterator[Tool]:
    """The tool of a portal that is served at this port, unless the course names an address."""
    base = portal.course.address or f"http://127.0.0.1:{port}"
    with open_client() as client:
        yield Tool(base, portal.course.title, portal.gradebook, Web(client), portal.clock)


@contextlib.contextmanager
def tool_of(folder: Path) -> Iterator[Tool]:
    """
    The tool of the course in a folder, for commands.

    Raises:
        UsageError: The course cannot be used.
    """
    course = open_course(folder)
    base = course.address or "http://127.0.0.1:8642"
    with contextlib.closing(open_database(course, folder)) as database, open_client() as client:
        yield Tool(base, course.title, database, Web(client))
