"""
Checks the functions of a running notebook in its own process, with the machinery that grades submissions.

The cases are those of a grading, except that the hidden batches are drawn from a seed that no assignment can have. A
function that is wrong here is wrong in a grading, too. The two can differ only in what depends on the hidden seed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch

from grader.assignment.declared import Declared
from grader.assignment.load import Assignment, default_inputs
from grader.calling.exercise import Exercise
from grader.chain import judge_chain
from grader.checking.cells import file_names, typed_codes
from grader.diagnosis.composed import composed
from grader.errors import GraderError, SourceError
from grader.execution.asking import call_request, chain_request
from grader.execution.border import add_record, within_bounds
from grader.execution.channel import Reply, Request
from grader.execution.record import Attempt, Execution
from grader.harness.call import NotebookState
from grader.harness.origin import codes_of
from grader.harness.serve import perform
from grader.harness.wire import Message, unpack_all
from grader.model import Chain, ExerciseResult, Limits, NotebookSummary, Outcome, Report, Submission
from grader.modes import ordinary, short_turns
from grader.notebook.functions import FunctionIndex, find_functions_in
from grader.notebook.read import Notebook
from grader.reference.cases import exercise_cases
from grader.reference.chain import build_chain
from grader.reference.networks import PRACTICE, Network, networks_of
from grader.verdict import Verdict, report_of, verdict_on

__all__ = ["Live"]

_PARTS = ("forward", "init_parameters", "make_inputs")


class Live:
    """
    The network of a running notebook, and checks of its gradient functions, until the network's functions change.

    If the network is missing or fails, every report says so.
    """

    def __init__(self, declared: Declared, namespace: dict[str, Any]) -> None:
        self._declared = declared
        self._namespace = namespace
        self._parts = _parts_of(namespace)
        self._networks: dict[str, Network] | None = None
        self._default_dtype = torch.get_default_dtype()
        self.assignment = Assignment(
            id=declared.assignment_id,
            title=declared.assignment_id,
            version="",
            exercises=(),
            forward=namespace.get("forward", _undefined),
            init_parameters=namespace.get("init_parameters", _undefined),
            make_inputs=namespace.get("make_inputs", default_inputs),
            namespace=namespace,
            solutions={},
            solution_code={},
            network="",
            hidden_seed=PRACTICE,
            limits=Limits(),
            **declared.settings,
        )

    def is_of(self, namespace: dict[str, Any]) -> bool:
        """Whether a namespace still has this network."""
        return namespace is self._namespace and _parts_of(namespace) == self._parts

    def examine(self, names: Sequence[str]) -> Report:
        """The verdicts on some functions, by name; if the network cannot be evaluated, the report gives the reason."""
        try:
            with self._ordinary():
                return self._report(self._results([self._exercise(name) for name in names]))
        except GraderError as error:
            return self._report((), problem=str(error))

    def examine_all(self) -> Report:
        """The verdicts on all declared functions, or on all called `grad_…`, and on their whole backward pass."""
        try:
            with self._ordinary():
                exercises = self._declared.exercises or tuple(self._exercise(name) for name in self._gradients())
                results = self._results(exercises)
                return dataclasses.replace(self._report(results), chain=self._chain(exercises, results))
        except GraderError as error:
            return self._report((), problem=str(error))

    @contextlib.contextmanager
    def _ordinary(self) -> Iterator[None]:
        """Compute as a grading does, whatever the notebook has set; its functions get its default dtype."""
        self._default_dtype = torch.get_default_dtype()
        with ordinary(), short_turns():
            yield

    def _report(self, results: Sequence[ExerciseResult], *, problem: str | None = None) -> Report:
        submission = Submission.of(b"", name="this notebook", student="")
        summary = NotebookSummary(cells=0, executed=0, problem=problem)
        return report_of(self.assignment, submission, results, summary, gives_marks=False)

    def _gradients(self) -> Iterator[str]:
        known = {f"d{name}" for name in self._network()["mnist"].values}
        for name, value in self._namespace.items():
            if inspect.isfunction(value) and f"d{name.removeprefix('grad_')}" in known:
                yield name

    def _exercise(self, name: str) -> Exercise:
        """The exercise as declared, or else as the function's name and arguments suggest."""
        for exercise in self._declared.exercises:
            if exercise.name == name:
                return exercise
        target = name.removeprefix("grad_")
        if target == name:
            raise SourceError(
                f"check does not know what {name} is the gradient of.",
                f"Name it as in grad_w1 for w1, or run `check.assignment('mine', '{name}(x, dz) -> w, b')` first.",
            )
        function = self._namespace.get(name)
        arguments = tuple(inspect.signature(function).parameters) if callable(function) else ()
        return Exercise(name=name, targets=(target,), arguments=arguments)

    def _network(self) -> dict[str, Network]:
        if self._networks is None:
            missing = [name for name in _PARTS[:2] if name not in self._namespace]
            if missing:
                raise SourceError(
                    f"check cannot find the notebook's {' and '.join(missing)} yet.",
                    "Run the cells above, from the first one on.",
                )
            self._networks = networks_of(self.assignment)
        return self._networks

    # ------------------------------------------------------------------------------------------------- one exercise

    def _results(self, exercises: Sequence[Exercise]) -> tuple[ExerciseResult, ...]:
        """The results of some exercises. What a wrong one uses is checked, too: that may be what is wrong."""
        verdicts: dict[str, Verdict] = {}
        waiting = list(exercises)
        known = {exercise.name: exercise for exercise in (*self._declared.exercises, *exercises)}
        for exercise in waiting:  # which grows
            if exercise.name not in verdicts:
                verdicts[exercise.name] = verdict = self._check(exercise)
                waiting += [known[name] for name in verdict.uses if name in known and not known[name].is_lines]
        results, uses = [each.result for each in verdicts.values()], {name: v.uses for name, v in verdicts.items()}
        explained = {result.name: result for result in composed(results, list(known.values()), uses)}
        return tuple(explained[exercise.name] for exercise in exercises)

    def _check(self, exercise: Exercise) -> Verdict:
        cases = exercise_cases(self.assignment, exercise, self._network())
        function = self._namespace.get(exercise.name)
        exercise = dataclasses.replace(exercise, question=inspect.getdoc(function) or "" if function else "")
        others = {each.name for each in self._declared.exercises}
        functions = _functions(function, exercise, self._namespace, {exercise.name, *others})
        reply = self._ask(call_request(exercise, cases, self.assignment.limits, autograd=self.assignment.autograd))
        attempt = Attempt(
            notebook=_notebook(), functions=functions, execution=Execution.in_this_process({exercise.name: reply})
        )
        return verdict_on(exercise, self.assignment, cases, attempt, ask=self._ask)

    def _chain(self, exercises: tuple[Exercise, ...], results: Sequence[ExerciseResult]) -> Chain | None:
        assignment = dataclasses.replace(self.assignment, exercises=exercises)
        outcomes = {result.name: result.outcome for result in results}
        written = [e for e in exercises if outcomes[e.name] not in (Outcome.BLANK, Outcome.MISSING)]
        case = build_chain(assignment)
        if not case.returned:
            return None
        reply = self._ask(chain_request(assignment, written, case, assignment.limits))
        return judge_chain(assignment, case, reply, outcomes)

    def _ask(self, request: Request) -> Reply:
        """The harness's reply to a request, made in this process."""
        records: dict[str, Message] = {}

        def keep(content: bytes) -> None:
            for header, payload in unpack_all(content):
                add_record(records, within_bounds(header)[0], payload)
                if (header.get("error") or {}).get("type") == "KeyboardInterrupt":
                    raise KeyboardInterrupt  # from the student, who does not want to wait for the other cases

        state = NotebookState(self._namespace, file_names(), self.assignment.forward, self._default_dtype)
        perform((request.header, request.payload), keep, state=state)
        return Reply(status="done", records=records)


def _undefined(*_: Any, **__: Any) -> dict[str, Any]:
    raise NotImplementedError


def _parts_of(namespace: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(namespace.get(name) for name in _PARTS)


# ----------------------------------------------------------------------------------------------- the notebook's code


def _notebook() -> Notebook:
    """The cells that ran, as a notebook."""
    return Notebook.of(code if code.strip() else "pass" for code in typed_codes()[1:])


def _functions(
    function: Any, exercise: Exercise, namespace: Mapping[str, Any], exercises: Collection[str]
) -> FunctionIndex:
    """The function index of the cells that define a function and the notebook's functions that it calls."""
    name = exercise.name
    numbers, codes = file_names(), typed_codes()
    code_by_number: dict[int, str] = dict(enumerate(codes)) if exercise.is_lines else {}
    waiting, known = codes_of(function, name), set[types.CodeType]()
    while waiting:
        compiled = waiting.pop()
        number = numbers.get(compiled.co_filename)
        if number is None or compiled in known or number >= len(codes):
            continue
        known.add(compiled)
        code_by_number[number] = codes[number]
        for called in compiled.co_names:
            waiting += codes_of(namespace[called], called) if called in namespace else []
    return find_functions_in(dict(sorted(code_by_number.items())), exercises, data=_data(namespace))


def _data(namespace: Mapping[str, Any]) -> frozenset[str]:
    """The names of a notebook's variables that hold data."""
    return frozenset(
        name
        for name, value in namespace.items()
        if not name.startswith("_") and not callable(value) and not isinstance(value, types.ModuleType)
    ) - {"In", "Out"}
