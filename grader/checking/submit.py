"""
Hands in the notebook that runs: `check.submit()`, and the button beside it.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from grader.assignment.declared import Declared
from grader.checking.here import this_notebook, unsaved
from grader.checking.submitted import Submitted
from grader.errors import GraderError, UsageError
from grader.model import Submission
from grader.submitting.client import Client
from grader.submitting.handing_in import follow, hand_in, keep_portal, read_whole
from grader.submitting.saved import load_portal
from grader.submitting.words import STILL_WAITING

__all__ = ["HandIn", "ask_for_key", "prepare", "show_submitting"]

PATIENCE_S = 600.0
"""How long a notebook waits for a result, in seconds."""
NOT_WAITED = "You stopped waiting. It is handed in all the same: its page will show the result."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HandIn:
    """A notebook's file as it is handed in, and where."""

    client: Client
    submission: Submission
    assignment: str

    def run(self) -> Iterator[Submitted]:
        """Hand it in. Yields what to show, whenever that changes; an error is shown, too."""
        try:
            first = last = hand_in(self.client, self.submission, self.assignment)
        except UsageError as error:
            yield Submitted.failed(error)
            return
        except GraderError as error:
            yield Submitted.failed(error, lead="Handing in has failed.")
            return
        page = self.client.page(first.id)
        try:
            for last in follow(self.client, first, seconds=PATIENCE_S):
                yield Submitted.of(last, page, first=first)
        except GraderError as error:
            yield Submitted.of(first, page, first=first, note=f"{error} Its page will show the result.")
        else:
            if not last.is_done:
                yield Submitted.of(last, page, first=first, note=STILL_WAITING)


def prepare(
    path: str | os.PathLike[str] | None,
    assignment: str | None,
    declared: Declared,
    namespace: Mapping[str, Any],
    *,
    with_current: bool,
) -> HandIn:
    """
    Find the notebook's file, the assignment and the portal. Nothing is sent.

    Args:
        path: The file, if the user names it.
        with_current: Whether the cell that is running has to be in the file, too.

    Raises:
        UsageError: One of them is not known, or the notebook was not saved.
    """
    portal = load_portal()
    submission = this_notebook(path, namespace)
    notebook = read_whole(submission)
    missing = unsaved(notebook, _names(declared, namespace), namespace, with_current=with_current)
    if missing:
        raise UsageError(
            f"{submission.name} does not contain {missing} as it ran.",
            "Save the notebook first. If you have changed a cell since you ran it, run it again, too.",
        )
    chosen = assignment or notebook.assignment_id or (declared.assignment_id if declared.exercises else "")
    if not chosen:
        raise UsageError(
            f"{submission.name} does not say which assignment it is for.", 'Name it: check.submit(assignment="…")'
        )
    return HandIn(client=Client(portal), submission=submission, assignment=chosen)


def ask_for_key(address: str) -> None:
    """Ask for the user's key, and save it with the portal's address; print how that went."""
    try:
        write(keep_portal(address, getpass.getpass("The key that the portal's home page shows: ").strip()))
    except GraderError as error:
        write(str(error))
    except (EOFError, NotImplementedError):
        write("Here you cannot be asked for a key. Run `grader submit --portal ADDRESS --key KEY` in a terminal.")


def show_submitting(prepared: HandIn) -> None:
    """Hand in, and show below the cell that is running how that goes; elsewhere, print each new sentence."""
    from IPython.core.getipython import get_ipython

    is_notebook = getattr(get_ipython(), "kernel", None) is not None
    show = Below().show if is_notebook else show_in_terminal
    shown = None
    try:
        for shown in prepared.run():
            show(shown)
    except KeyboardInterrupt:
        if shown is None:
            raise
        show(dataclasses.replace(shown, kind="done", closing=NOT_WAITED))


class Below:
    """Shows something below the cell that is running, and then other things in its place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, shown: Submitted) -> None:
        """Show it."""
        from IPython.display import display

        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


def show_in_terminal(shown: Submitted) -> None:
    """Print what is new."""
    write(shown.closing if shown.kind == "working" else repr(shown))


def write(text: str) -> None:
    """Print a text; a terminal may not have all of its characters."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "replace").decode(encoding))


def _names(declared: Declared, namespace: Mapping[str, Any]) -> list[str]:
    declared_names = [exercise.name for exercise in declared.exercises]
    return declared_names or [name for name, value in namespace.items() if name.startswith("grad_") and callable(value)]
