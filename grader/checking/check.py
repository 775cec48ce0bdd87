"""
Lets students check their own notebooks: `from grader import check`, then `check(grad_w1)`.

A check calls a function on public cases, compares the results with autograd through the notebook's `forward`, and shows
at once what a report would say. It needs no solution, no internet and no server. It gives no marks, because it runs in
the student's process, where nothing can be trusted. Nothing heavy is imported before the first check.
"""

from __future__ import annotations

import dataclasses
import importlib.util
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


NOT_NOW = "Nothing is handed in while a notebook is being graded or checked.\n"
NO_WIDGETS = (
    "The button needs a package that is not installed here, anywidget. Install it, and start the kernel again: "
    "%pip install anywidget. Or hand in without a button: check.submit()\n"
)

IS_RIGHT = "application/vnd.grader.right"
"""The MIME type of the output that tells `grader check` whether everything is right: yes or no."""


class Checked:
    """The result of a check, shown as HTML in a notebook and as text elsewhere; `report` has the data."""

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


class Smallest(Checked):
    """The smallest numbers on which functions are wrong, shown as HTML in a notebook and as text elsewhere."""

    def __repr__(self) -> str:
        from grader.reports.fragment import render_smallest_text

        return render_smallest_text(self.report)

    def _repr_html_(self) -> str:
        from grader.reports.fragment import render_smallest

        return render_smallest(self.report)


class Check:
    """`check(function)`, `check.smallest(function)`, `check.all()`, `check.submit()` and others, for a notebook."""

    def __init__(self) -> None:
        self._declared = Declared()
        self._live: Any = None

    def __call__(self, *functions: Any) -> None:
        """
        Show whether gradient functions are right: the verdict, the shapes, a picture, and a first hint.

        Args:
            functions: Functions of the notebook, or their names.

        Raises:
            TypeError: An argument is neither.
        """
        self.show(functions, sys._getframe(1).f_globals)

    def show(self, functions: Iterable[Any], namespace: dict[str, Any]) -> None:
        """The same for functions of a namespace. It does nothing while a notebook is being graded."""
        for function in functions if not os.environ.get(GRADING) else ():
            show(self.examine(function, namespace))

    def smallest(self, *functions: Any) -> None:
        """
        Show the smallest numbers on which wrong gradient functions are wrong, to be worked through on paper.

        Args:
            functions: Functions of the notebook, or their names.

        Raises:
            TypeError: An argument is neither.
        """
        namespace = sys._getframe(1).f_globals
        for function in functions if not os.environ.get(GRADING) else ():
            show(Smallest(self.examine(function, namespace).report))

    def all(self) -> None:
        """Check all gradient functions, put them together into a backward pass, and train the network with it."""
        if not os.environ.get(GRADING):
            show(self.examine_all(sys._getframe(1).f_globals))

    def assignment(self, assignment_id: str, *exercises: str, **settings: Any) -> None:
        """
        Declare which gradients the notebook asks for. Released notebooks have a cell that does so.

        Without a declaration, the names of the functions decide.

        Args:
            assignment_id: The id, from which the public batch is drawn.
            exercises: Such as `grad_layer(x, dz) -> w, b`: a function, its arguments, and what it is the gradient of.
            settings: Those of the assignment: `autograd`, `counterexample`, `hints`, `learning_rate`, `rows`, `steps`.

        Raises:
            SourceError: An exercise is written in another way, or there is no such setting.
        """
        self._declared = declare(assignment_id, exercises, settings)
        self._live = None
        if not os.environ.get(GRADING):
            _import_all()

    def portal(self, address: str) -> None:
        """
        Save the portal at which `submit` hands in. It asks for the key, so that the key is not in the notebook.

        Args:
            address: Such as `https://grader.school.example`.
        """
        if os.environ.get(GRADING):
            sys.stdout.write(NOT_NOW)
            return
        from grader.checking.submit import ask_for_key

        ask_for_key(address)

    def submit(self, path: str | os.PathLike[str] | None = None, *, assignment: str | None = None) -> None:
        """
        Hand in this notebook at the course's portal, and show the result. Save the notebook first.

        Args:
            path: The notebook's file, if `check` cannot find it.
            assignment: The id, if neither the notebook nor `check.assignment` names it.
        """
        if os.environ.get(GRADING):
            sys.stdout.write(NOT_NOW)
            return
        from grader.checking.submit import prepare, show_submitting
        from grader.checking.submitted import Submitted
        from grader.errors import GraderError

        try:
            prepared = prepare(path, assignment, self._declared, sys._getframe(1).f_globals, with_current=True)
        except GraderError as error:
            show(Submitted.failed(error))
        else:
            show_submitting(prepared)

    def submit_button(self, path: str | os.PathLike[str] | None = None, *, assignment: str | None = None) -> None:
        """
        Show a button that hands this notebook in. It needs the package anywidget.

        Args:
            path, assignment: As for `submit`.
        """
        if os.environ.get(GRADING):
            sys.stdout.write(NOT_NOW)
            return
        if importlib.util.find_spec("anywidget") is None:
            sys.stdout.write(NO_WIDGETS)
            return
        from IPython.display import display

        from grader.checking.button import SubmitButton
        from grader.checking.submit import prepare

        namespace = sys._getframe(1).f_globals
        ready = lambda: prepare(path, assignment, self._declared, namespace, with_current=False)  # noqa: E731
        display(SubmitButton(ready))

    def report(self, name: str) -> None:
        """Publish what `all` finds as a whole page, for `grader check`; `name` is the notebook's file name."""
        from IPython.display import publish_display_data

        from grader.reports.html import render_html

        checked = self.examine_all(sys._getframe(1).f_globals)
        report = checked.report
        is_right = report.notebook.problem is None and all(exercise.passed for exercise in report.exercises)
        page = dataclasses.replace(report, submission=dataclasses.replace(report.submission, name=name))
        publish_display_data(
            {"text/plain": repr(checked), "text/html": render_html(page), IS_RIGHT: "yes" if is_right else "no"}
        )

    def examine(self, function: Any, namespace: dict[str, Any]) -> Checked:
        """Check one function of a namespace, given as a function or by name."""
        name = function if isinstance(function, str) else name_of(function, namespace)
        return Checked(self._network(namespace).examine([name]))

    def examine_all(self, namespace: dict[str, Any]) -> Checked:
        """Check all gradient functions of a namespace."""
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
        TypeError: It is not a function.
    """
    if not callable(function):
        raise TypeError(
            f"check takes a function, as in check(grad_w1), and got a value of type {type(function).__name__}."
        )
    names = [name for name, value in namespace.items() if value is function and not name.startswith("_")]
    return names[0] if names else str(getattr(function, "__name__", "function"))


def show(checked: object) -> None:
    """Show a result below the cell that is running, or print it as text outside of a notebook."""
    from IPython.core.getipython import get_ipython

    if get_ipython() is None:
        encoding = sys.stdout.encoding or "utf-8"  # a terminal may have no ✓
        sys.stdout.write(f"{checked!r}\n".encode(encoding, "replace").decode(encoding))
    else:
        from IPython.display import display

        display(checked)


check = Check()
