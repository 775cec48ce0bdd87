"""Gradebook entries of a class, made without grading anything."""

from __future__ import annotations

import random

from grader.classroom.records import Entry, File, Owner, Received
from grader.model import Diagnosis, Flag, Outcome
from grader.reports.reading import Finding, ReadReport

EXERCISES = {"grad_yhat": 1, "grad_w2": 2, "grad_b2": 1, "grad_a1": 1, "grad_z1": 2, "grad_w1": 2, "grad_b1": 1}


def received_of(student: str, *, platform: str = "canvas", **more: object) -> Received:
    return Received(
        owner=Owner(platform, student),
        file=File("notebook.ipynb", 0.0, lambda: b""),
        name="notebook.ipynb",
        **more,  # type: ignore[arg-type]
    )


def entry_of(
    student: str,
    wrong: str = "",
    *,
    platform: str = "canvas",
    fault: str = "",
    received: Received | None = None,
    flags: tuple[Flag, ...] = (),
) -> Entry:
    """
    A student's entry.

    Args:
        wrong: The wrong exercises, each with its diagnosis or, after `#`, its fingerprint, such as
            `grad_z1:missing_mask grad_w1:#a`.
    """
    reasons = dict(word.split(":") for word in wrong.split())
    findings = [_finding(name, worth, reasons.get(name), fault) for name, worth in EXERCISES.items()]
    decided = [finding for finding in findings if finding.passed is not None]
    report = ReadReport(
        assignment_id="two_layer_mse",
        title="",
        version="1",
        submission="notebook.ipynb",
        student=student,
        sha256="0" * 64,
        score=float(sum(finding.points for finding in decided)),
        max_score=float(sum(finding.max_points for finding in decided)),
        findings=tuple(findings),
        flags=flags,
    )
    return Entry(
        received=received or received_of(student, platform=platform), file=f"{student}.html", report=report, fault=fault
    )


def _finding(name: str, worth: int, reason: str | None, fault: str) -> Finding:
    outcome = Outcome.MATCH if reason is None else Outcome.MISMATCH
    is_diagnosed = reason is not None and not reason.startswith("#")
    return Finding(
        name=name,
        outcome=Outcome.GRADER_ERROR if fault else outcome,
        points=worth if outcome is Outcome.MATCH and not fault else 0,
        max_points=worth,
        message=f"{name} returned other values.",
        diagnoses=(Diagnosis(id=reason, message=f"Observed in {name}."),) if is_diagnosed else (),
        fingerprint="" if reason is None or is_diagnosed else reason,
    )


def large_class(size: int = 1000) -> list[Entry]:
    """Students with random mistakes. Some are late, and the grader failed at two."""
    chance = random.Random(3)
    mistakes = ["grad_z1:missing_mask", "grad_yhat:constant_factor", "grad_w1:transposed", "grad_w2:#a", "grad_a1:#b"]
    entries = []
    for number in range(size):
        wrong = " ".join(mistake for mistake in mistakes if chance.random() < 0.3)
        student = str(4000 + number * 7)
        received = received_of(student, display=f"name{number}", is_late=chance.random() < 0.1)
        fault = "A kernel did not start." if number in (3, 70) else ""
        flag = Flag(id="autograd", exercise="grad_w1", evidence="grad_w1 calls torch.autograd.grad.")
        flags = (flag,) if number % 50 == 1 else ()
        entries.append(entry_of(student, wrong, fault=fault, received=received, flags=flags))
    return entries
