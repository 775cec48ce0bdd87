"""Grades submissions in this process, without a kernel: with the same calls and the same judgement."""

from __future__ import annotations

import copy
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from grader.assignment.load import Assignment
from grader.execution.channel import Reply, Request, combine, reply_from
from grader.execution.questions import questions_of
from grader.execution.record import Attempt, Execution
from grader.execution.requests import requests_for
from grader.harness.call import NotebookState
from grader.harness.serve import perform
from grader.model import Report
from grader.modes import ordinary
from grader.notebook.functions import find_functions
from grader.notebook.read import read_notebook
from grader.pipeline import judge
from tests.conftest import handed_in, raw_submission

TRANSFORMER = TransformerManager()


def grade_in_process(assignment: Assignment, answers: str, *, base: str = "blank", name: str = "1001.ipynb") -> Report:
    """
    The report on a submission. It cannot show crashes, endless loops or the sandbox.

    Args:
        answers: As in the corpus.
        base: What to do with exercises that have no answer: `blank` or `solution`.
    """
    return InProcessRun(assignment, answers, base=base, name=name).report(assignment)


class InProcessRun:
    """A submission whose functions have been called once, and which can be judged several times."""

    def __init__(self, assignment: Assignment, answers: str, *, base: str = "blank", name: str = "1001.ipynb") -> None:
        written = nbformat.writes(handed_in(answers, base=base, assignment_id=assignment.id))
        self.submission = raw_submission(written.encode(), name=name)
        self.notebook = read_notebook(self.submission)
        self.functions = find_functions(self.notebook, [exercise.name for exercise in assignment.exercises])
        self._execute(assignment)

    def run_again(self, assignment: Assignment) -> InProcessRun:
        """Another run of the same notebook, with the requests of another assignment."""
        again = copy.copy(self)
        again._execute(assignment)
        return again

    def _execute(self, assignment: Assignment) -> None:
        with ordinary():  # what a notebook sets for torch as a whole ends with it
            self.namespace = self._run()
            self.execution = Execution.in_this_process(self._replies_to(assignment))

    def report(self, assignment: Assignment) -> Report:
        """The report by an assignment whose cases are those of this run."""
        attempt = Attempt(notebook=self.notebook, functions=self.functions, execution=self.execution)
        return judge(self.submission, assignment, attempt)

    def _run(self) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        for cell in self.notebook.cells:
            if "plt." in cell.code or "range(40)" in cell.code:
                continue  # it draws or trains
            try:
                code = TRANSFORMER.transform_cell(cell.code)
                exec(compile(code, f"<cell {cell.number}>", "exec"), namespace)
            except Exception:  # a notebook goes on after a cell that raised
                continue
        return namespace

    def _replies_to(self, assignment: Assignment) -> dict[str, Reply]:
        replies: dict[str, Reply] = {}
        for request in requests_for(questions_of(assignment), self.functions, replies):
            replies[request.key] = combine(replies.get(request.key), self._ask(request), request)
        return replies

    def _ask(self, request: Request) -> Reply:
        written: list[bytes] = []
        cells = {f"<cell {cell.number}>": cell.number for cell in self.notebook.cells}
        perform((request.header, request.payload), written.append, state=NotebookState(self.namespace, cells))
        return reply_from(({"status": "done"}, b"".join(written)))
