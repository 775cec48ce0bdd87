"""
A report as JSON, in the schema `grader.report/1` (`grader/schemas/report-1.json`).
"""

from __future__ import annotations

import json
import math
from typing import Any

from grader.calling.tables import Counterexample, Table
from grader.model import Adjustment, CallError, CaseResult, Chain, ExerciseResult, PartResult, Report

__all__ = ["SCHEMA", "render_json", "report_to_dict"]

SCHEMA = "grader.report/1"


def render_json(report: Report) -> str:
    """The report as JSON text; numbers that JSON does not have (nan, inf) become null."""
    return json.dumps(report_to_dict(report), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def report_to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, strings and numbers."""
    return {
        "schema": SCHEMA,
        "assignment": {
            "id": report.assignment_id,
            "title": report.assignment_title,
            "version": report.assignment_version,
        },
        "submission": {
            "name": report.submission.name,
            "student": report.submission.student,
            "sha256": report.submission.sha256,
        },
        "score": report.score,
        "max_score": report.max_score,
        **_adjustments(report),
        "exercises": [_exercise(exercise) for exercise in report.exercises],
        "flags": [{"id": flag.id, "exercise": flag.exercise, "evidence": flag.evidence} for flag in report.flags],
        "notebook": {
            "cells": report.notebook.cells,
            "executed": report.notebook.executed,
            "first_error": report.notebook.first_error,
            "problem": report.notebook.problem,
            **({"of_assignment": report.notebook.of_assignment} if report.notebook.of_assignment else {}),
        },
        "chain": _chain(report.chain),
        "sandbox": {"layers": list(report.sandbox_layers)},
        "notes": list(report.notes),
        "visibility": {"release": report.release or None, "is_shown": report.is_shown},
        "timing_s": {"total": round(report.seconds, 4)},
    }


def _adjustments(report: Report) -> dict[str, Any]:
    """An instructor's decisions and the grader's own score, if there are any decisions."""
    every = [(None, report.adjustment), *((result.name, result.adjustment) for result in report.exercises)]
    adjustments = [
        {"exercise": name, **_adjustment(adjustment)} for name, adjustment in every if adjustment is not None
    ]
    return {"adjustments": adjustments, "graded_score": report.graded_score} if adjustments else {}


def _adjustment(adjustment: Adjustment) -> dict[str, Any]:
    return {
        "points": adjustment.points,
        "graded": adjustment.graded,
        "comment": adjustment.comment,
        "reason": adjustment.reason,
    }


def _exercise(exercise: ExerciseResult) -> dict[str, Any]:
    return {
        "name": exercise.name,
        "outcome": exercise.outcome.value,
        "passed": exercise.passed,
        "points": exercise.points,
        "max_points": exercise.max_points,
        "message": exercise.message,
        "cases": [_case(case) for case in exercise.cases],
        "diagnoses": [
            {
                "id": diagnosis.id,
                "message": diagnosis.message,
                "hint": diagnosis.hint,
                "more": list(diagnosis.more),
                "analogy": diagnosis.analogy,
            }
            for diagnosis in exercise.diagnoses
        ],
        **({"counterexample": _counterexample(exercise.counterexample)} if exercise.counterexample else {}),
        "arguments": list(exercise.arguments),
        "targets": list(exercise.targets),
        **({"parts": [_part(part) for part in exercise.parts]} if exercise.parts else {}),
        **({"shares": list(exercise.shares)} if exercise.shares else {}),
        "fingerprint": exercise.fingerprint,
        "notices": [{"id": notice.id, "message": notice.message} for notice in exercise.notices],
        "error": _error(exercise.error),
        "cell": exercise.code.cell if exercise.code else None,
        "line": exercise.code.line if exercise.code else None,
        **({"adjustment": _adjustment(exercise.adjustment)} if exercise.adjustment else {}),
    }


def _counterexample(example: Counterexample) -> dict[str, Any]:
    if example.reason:
        return {"reason": example.reason}
    return {
        "rows": example.rows,
        "arguments": [_table(table) for table in example.arguments],
        "constants": [{"name": name, "value": text} for name, text in example.constants],
        "answers": [
            {"yours": _table(answer.yours), "right": _table(answer.right), "differs": list(answer.differs)}
            for answer in example.answers
        ],
        "partway": example.partway,
    }


def _table(table: Table) -> dict[str, Any]:
    return {"name": table.name, "shape": list(table.shape), "numbers": [_finite(number) for number in table.numbers]}


def _part(part: PartResult) -> dict[str, Any]:
    return {
        "name": part.name,
        "outcome": part.outcome.value,
        "points": part.points,
        "max_points": part.max_points,
    }


def _case(case: CaseResult) -> dict[str, Any]:
    return {
        "name": case.name,
        "outcome": case.outcome.value,
        "public": case.public,
        "max_abs_error": _finite(case.max_abs_error),
        "max_rel_error": _finite(case.max_rel_error),
        "tolerance": _finite(case.tolerance),
        "wrong_entries": case.wrong_entries,
        "entries": case.entries,
        "shape": None if case.shape is None else list(case.shape),
        "expected_shape": None if case.expected_shape is None else list(case.expected_shape),
        "dtype": case.dtype,
    }


def _error(error: CallError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "type": error.type,
        "message": error.message,
        "traceback": error.traceback,
        "cell": error.cell,
        "line": error.line,
    }


def _chain(chain: Chain | None) -> dict[str, Any] | None:
    if chain is None:
        return None
    training = chain.training
    return {
        "links": {name: outcome.value for name, outcome in chain.links.items()},
        "given": list(chain.given),
        "training": None
        if training is None
        else {
            "reference": [_finite(loss) for loss in training.reference],
            "student": [_finite(loss) for loss in training.student],
        },
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
