"""Grades what somebody might hand in without a kernel: the same calls, the same judgement, in this process."""

from __future__ import annotations

import copy
from typing import Any

import nbformat

from grader.assignment.load import Assignment
from grader.execution.execute import Answer, Execution, Request, put_together
from grader.harness.serve import _work
from grader.harness.wire import unpack_all
from grader.model import Report
from grader.notebook.functions import look
from grader.notebook.read import code_cells, read_notebook
from grader.pipeline import _judge, _requests
from grader.reference.cases import build_cases, build_chain
from tests.checking.test_check import TRANSFORMER
from tests.conftest import handed_in, raw_submission


def grade_here(assignment: Assignment, answers: str, *, base: str = "blank", name: str = "1001.ipynb") -> Report:
    """
    A report, but for what only the process of a kernel could tell: crashes, endless loops, the sandbox.

    Args:
        answers: As in the corpus.
        base: What becomes of exercises that they leave out: `blank` or `solution`.
    """
    return Here(assignment, answers, base=base, name=name).judged(assignment)


class Here:
    """Answers that have been called once, to be judged again and again."""

    def __init__(self, assignment: Assignment, answers: str, *, base: str = "blank", name: str = "1001.ipynb") -> None:
        written = nbformat.writes(handed_in(answers, base=base, assignment_id=assignment.id))
        self.submission = raw_submission(written.encode(), name=name)
        self.notebook = read_notebook(self.submission)
        self.looked = look(self.notebook, [exercise.name for exercise in assignment.exercises])
        self._execute(assignment)

    def there(self, assignment: Assignment) -> Here:
        """The same notebook, run again, and asked what another assignment asks."""
        again = copy.copy(self)
        again._execute(assignment)
        return again

    def _execute(self, assignment: Assignment) -> None:
        self.namespace = self._run()
        self.execution = Execution(executed=0, errors={}, stopped=None, answers=self._asked(assignment), layers=())

    def judged(self, assignment: Assignment) -> Report:
        """The report, as one assignment or another with the same cases judges."""
        return _judge(self.submission, assignment, self.notebook, self.looked, self.execution)

    def _run(self) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        for number, cell in code_cells(self.notebook):
            if "plt." in cell.source or "range(40)" in cell.source:
                continue  # drawings and training
            try:
                code = TRANSFORMER.transform_cell(cell.source)
                exec(compile(code, f"<cell {number}>", "exec"), namespace)
            except Exception:  # a notebook goes on after a cell that raised
                continue
        return namespace

    def _asked(self, assignment: Assignment) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        for request in _requests(assignment, self.looked, build_cases(assignment), build_chain(assignment), answers):
            answers[request.key] = put_together(answers.get(request.key), self._ask(request), request)
        return answers

    def _ask(self, request: Request) -> Answer:
        records: dict[str, tuple[dict[str, Any], bytes]] = {}

        def keep(content: bytes) -> None:
            records.update({header["case"]: (header, payload) for header, payload in unpack_all(content)})

        files = {f"<cell {number}>": number for number, _ in code_cells(self.notebook)}
        _work(self.namespace, files, request.header, request.payload, keep)
        return Answer(status="done", records=records)
