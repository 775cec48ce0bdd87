"""
A student's own check, in the student's own notebook: `from grader import check`, then `check(grad_w1)`.

It calls a function on public cases, compares with autograd through the notebook's own `forward`, and shows at once what
a report would say. It needs no solution, no network and no server, and it gives no marks: it runs in the student's
process, where nothing is trusted. Nothing heavy is imported before the first check.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from grader.assignment.declared import Declared, declare
from grader.harness.wire import CHANNEL_VARIABLE

if TYPE_CHECKING:
    from grader.model import Report

__all__ = ["IS_RIGHT", "Check", "Checked", "check"]

GRADING = CHANNEL_VARIABLE
"""The environment variable that is set while a notebook is being graded."""


IS_RIGHT = "application/vnd.grader.right"
"""The kind of output that says whether all is right, yes or no: for `grader check`."""


class Checked:
    """What a check found: rich in a notebook, text elsewhere. `report` is plain data."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def __repr__(self) -> str:
        from grader.reports.fragment import render_text

        return render_text(self.report)

    def _repr_html_(self) -> str:
        from grader.reports.fragment import render_fragment

        return render_fragment(self.report)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


class Check:
    """`check(function)`, `check.all()` and `check.assignment(…)`, for the notebook that calls them."""

    def __init__(self) -> None:
        self._declared = Declared()
        self._live: Any = None

    def __call__(self, *functions: Any) -> None:
        """
        Show how gradients are doing: verdict, shapes, the picture, and a first hint.

        Args:
            functions: Functions of the notebook, or their names.

        Raises:
            TypeError: What is given is neither.
        """
        self.show(functions, sys._getframe(1).f_globals)

    def show(self, functions: Iterable[Any], namespace: dict[str, Any]) -> None:
        """The same for functions of a namespace. While a notebook is being graded, it does nothing."""
        for function in functions if not os.environ.get(GRADING) else ():
            show(self.examine(function, namespace))

    def all(self) -> None:
        """Show how all of them are doing, what they make of a whole backward pass, and how a network learns by it."""
        if not os.environ.get(GRADING):
            show(self.examine_all(sys._getframe(1).f_globals))

    def assignment(self, assignment_id: str, *exercises: str, **settings: Any) -> None:
        """
        Say what is asked for. Released notebooks do so in a cell of their own; without it, names say enough.

        Args:
            assignment_id: From which the public batch is drawn.
            exercises: Such as `grad_layer(x, dz) -> w, b`: a function, what it is given, what it is the gradient of.
            settings: Those of the assignment: `autograd`, `hints`, `learning_rate`, `steps`.

        Raises:
            SourceError: An exercise is not written like that, or there is no such setting.
        """
        self._declared = declare(assignment_id, exercises, settings)
        self._live = None
        if not os.environ.get(GRADING):
            _import_all()

    def report(self, name: str) -> None:
        """Show what `all` does as a page of its own, for `grader check`; `name` is that of the notebook's file."""
        from IPython.display import publish_display_data

        from grader.reports.html import render_html

        checked = self.examine_all(sys._getframe(1).f_globals)
        found = checked.report
        is_right = found.notebook.problem is None and all(exercise.passed for exercise in found.exercises)
        page = dataclasses.replace(found, submission=dataclasses.replace(found.submission, name=name))
        publish_display_data(
            {"text/plain": repr(checked), "text/html": render_html(page), IS_RIGHT: "yes" if is_right else "no"}
        )

    def examine(self, function: Any, namespace: dict[str, Any]) -> Checked:
        """What there is to say about one function of a namespace."""
        name = function if isinstance(function, str) else name_of(function, namespace)
        return Checked(self._network(namespace).examine([name]))

    def examine_all(self, namespace: dict[str, Any]) -> Checked:
        """What there is to say about all functions of a namespace."""
        return Checked(self._network(namespace).examine_all())

    def _network(self, namespace: dict[str, Any]) -> Any:
        from grader.checking.live import Live

        if self._live is None or not self._live.is_of(namespace):
            self._live = Live(self._declared, namespace)
        return self._live


def _import_all() -> None:
    """Import everything that a check needs, so that the first one is as quick as those after it."""
    import grader.checking.live
    import grader.reports.fragment  # noqa: F401


def name_of(function: Any, namespace: dict[str, Any]) -> str:
    """
    The name that a function has in a notebook.

    Raises:
        TypeError: It is nothing that can be called.
    """
    if not callable(function):
        raise TypeError(f"check takes a function of yours, as in check(grad_w1), and not a {type(function).__name__}.")
    names = [name for name, value in namespace.items() if value is function and not name.startswith("_")]
    return names[0] if names else str(getattr(function, "__name__", "function"))


def show(checked: Checked) -> None:
    """As the output of the cell that runs, or as text where there is no notebook."""
    from IPython.core.getipython import get_ipython

    if get_ipython() is None:
        encoding = sys.stdout.encoding or "utf-8"  # a terminal may have no ✓
        sys.stdout.write(f"{checked!r}\n".encode(encoding, "replace").decode(encoding))
    else:
        from IPython.display import display

        display(checked)


check = Check()
