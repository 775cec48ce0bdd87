"""Classes as they come out of grading, made up without running anything."""

from __future__ import annotations

import random

from grader.classroom.records import File, Finding, Received, Result

EXERCISES = {"grad_yhat": 1, "grad_w2": 2, "grad_b2": 1, "grad_a1": 1, "grad_z1": 2, "grad_w1": 2, "grad_b1": 1}


def received_of(student: str, *, platform: str = "canvas", **more: object) -> Received:
    return Received(
        platform=platform,
        student=student,
        file=File("notebook.ipynb", 0.0, lambda: b""),
        name="notebook.ipynb",
        **more,  # type: ignore[arg-type]
    )


def result_of(student: str, wrong: str = "", *, platform: str = "canvas", fault: str = "", **more: object) -> Result:
    """
    A student's line.

    Args:
        wrong: The exercises that are wrong, with what is said of them, such as `grad_z1:missing_mask grad_w1:#a`; `#`
            marks a fingerprint.
    """
    said = dict(each.split(":") for each in wrong.split())
    findings = []
    for name, worth in EXERCISES.items():
        about = said.get(name)
        outcome = "grader_error" if fault else "match" if about is None else "mismatch"
        about = about or ""
        findings.append(
            Finding(
                exercise=name,
                outcome=outcome,
                passed=None if fault else outcome == "match",
                points=worth if outcome == "match" else 0,
                max_points=worth,
                message=f"{name} returned other values.",
                diagnosis="" if about.startswith("#") else about,
                observed="" if about.startswith("#") else f"Observed in {name}.",
                fingerprint=about if about.startswith("#") else "",
            )
        )
    decided = [finding for finding in findings if finding.passed is not None]
    received = more.pop("received", None) or received_of(student, platform=platform)
    return Result(
        received=received,  # type: ignore[arg-type]
        report=f"{student}.html",
        sha256="0" * 64,
        score=float(sum(finding.points for finding in decided)),
        max_score=float(sum(finding.max_points for finding in decided)),
        findings=tuple(findings),
        fault=fault,
        **more,  # type: ignore[arg-type]
    )


def large_class(size: int = 1000) -> list[Result]:
    """Students with mistakes as they come, some of them late, two whom the grader failed."""
    chance = random.Random(3)
    mistakes = ["grad_z1:missing_mask", "grad_yhat:constant_factor", "grad_w1:transposed", "grad_w2:#a", "grad_a1:#b"]
    results = []
    for number in range(size):
        wrong = " ".join(mistake for mistake in mistakes if chance.random() < 0.3)
        student = str(4000 + number * 7)
        received = received_of(student, display=f"name{number}", is_late=chance.random() < 0.1)
        fault = "A kernel did not start." if number in (3, 70) else ""
        flags = (("autograd", "grad_w1 calls torch.autograd.grad."),) if number % 50 == 1 else ()
        results.append(result_of(student, wrong, fault=fault, received=received, flags=flags))
    return results
