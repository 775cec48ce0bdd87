"""
Hands a file in, and follows it through the queue until there is a result.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from grader.errors import GraderFault, UsageError
from grader.model import Submission
from grader.notebook.read import USED_LIMIT_BYTES, Notebook, Unreadable, read_notebook
from grader.submitting.client import Client, NotThere, Unreachable
from grader.submitting.progress import Progress
from grader.submitting.saved import UserPortal, save_portal

__all__ = ["follow", "hand_in", "keep_portal", "read_whole"]

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""How long to wait each time that the portal cannot be reached: it may be starting again."""
SHORTEST_S = 1.0
"""A portal that does not wait is asked no more often than this, in seconds."""


def read_whole(submission: Submission) -> Notebook:
    """
    The notebook in a file that is to be handed in.

    Raises:
        UsageError: It is no notebook, or too large: the portal would refuse it, or the grader could not read it.
    """
    if len(submission.content) > USED_LIMIT_BYTES:
        raise UsageError(
            f"{submission.name} has more than {USED_LIMIT_BYTES >> 20} MiB.",
            "Clear the outputs, save it, and try again.",
        )
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        raise UsageError(f"{submission.name} cannot be handed in. {notebook.problem}")
    return notebook


def keep_portal(address: str, key: str) -> str:
    """
    Save the user's portal, if it accepts the key.

    Returns:
        str: What to tell the user.

    Raises:
        UsageError: The address or the key is wrong, or the file cannot be written.
        GraderFault: The portal cannot be reached.
    """
    portal = UserPortal.of(address, key)
    student, assignments = Client(portal).assignments()
    path = save_portal(portal)
    are_open = f"You can hand in for: {', '.join(assignments)}." if assignments else "No assignment is open yet."
    return f"The portal knows you as {student}. Its address and your key are saved in {path}.\n{are_open}"


def hand_in(client: Client, submission: Submission, assignment: str) -> Progress:
    """
    Hand a file in.

    Raises:
        UsageError: It was refused, or the key is in it.
        GraderFault: The portal cannot be reached, or received something else.
    """
    if client.portal.key.encode("ascii") in submission.content:
        raise UsageError(
            f"{submission.name} contains your key, with which others could hand in for you.",
            "Delete it there, save the notebook, and make a new key on the portal's home page.",
        )
    try:
        progress = client.hand_in(assignment, submission.name, submission.content)
    except NotThere as error:
        _, others = client.assignments()
        are_open = f"Open are: {', '.join(others)}." if others else "None is open."
        raise UsageError(f"The portal has no assignment {assignment!r} that is open.", are_open) from error
    if progress.sha256 != hashlib.sha256(submission.content).hexdigest():
        raise GraderFault(
            f"What {client.portal.address} received is not your file.", "Tell your instructor, and hand in on the page."
        )
    return progress


def follow(client: Client, progress: Progress, *, seconds: float | None = None) -> Iterator[Progress]:
    """
    Yields how an attempt stands: at once, and whenever its state changes. The last one has the result.

    Args:
        seconds: For how long; None for as long as it takes.

    Raises:
        UsageError: The key does not count any more.
        GraderFault: The portal cannot be reached for a while.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    failures = 0
    if not progress.is_done:
        yield progress
    is_known = bool(progress.exercises)
    while not (progress.is_done and is_known):
        if deadline is not None and time.monotonic() > deadline:
            return
        began = time.monotonic()
        try:
            now = client.look(progress.id, while_=progress.state)
        except Unreachable:
            if failures == len(PAUSES_S):
                raise
            time.sleep(PAUSES_S[failures])
            failures += 1
            continue
        failures = 0
        if now.state != progress.state or now.is_done:
            yield now
        elif time.monotonic() - began < SHORTEST_S:
            time.sleep(SHORTEST_S)
        progress, is_known = now, True
