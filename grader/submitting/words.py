"""
What the user is told about an attempt, in sentences.
"""

from __future__ import annotations

from grader.reports.words import clip
from grader.submitting.progress import Observed, Progress

__all__ = ["STILL_WAITING", "handed_in", "lines_of", "outcome", "receipt_of", "symbol_of", "whereabouts"]

LINE_LIMIT = 200
SYMBOLS = {"right": "✓", "wrong": "✗", "open": "○", "unknown": "?"}
JUDGED_AGAIN = "It is being judged again, so that may change: the attempt's page will show the new result."
STILL_WAITING = "It is not graded yet. You need not wait: its page will show the result."


def handed_in(progress: Progress) -> str:
    """That the file has arrived."""
    attempt = f"attempt {progress.number} of {progress.assignment}"
    if progress.is_new:
        return f"{progress.file} is handed in as {attempt}."
    return f"{progress.file} was handed in before, as {attempt}. It counts once."


def receipt_of(progress: Progress) -> str:
    """By what the receipt names the file."""
    return f"SHA-256 {progress.sha256}"


def whereabouts(progress: Progress) -> str:
    """Where the attempt is, as long as it has no result."""
    if progress.state == "running":
        return "It is being graded."
    return f"It waits in the queue, as number {progress.place}." if progress.place else "It waits in the queue."


def outcome(progress: Progress) -> str:
    """The result in a sentence, and in another one that it is not the last, if it is not."""
    said = _result(progress)
    return f"{said} {JUDGED_AGAIN}" if progress.is_judged_again and not progress.is_withheld else said


def _result(progress: Progress) -> str:
    if progress.status == "grader_error":
        return (
            "The grader failed at this attempt. That costs you neither points nor an attempt. Your instructor sees it, "
            "too."
        )
    if progress.is_withheld:
        return "The result is withheld for now. Your instructor will release it."
    if progress.status == "unreadable":
        return progress.problem or "The file cannot be read as a notebook."
    if progress.score is not None and progress.max_score is not None:
        points = f"{progress.score:.4g} of {progress.max_score:.4g} points"
        is_reduced = progress.mark is not None and progress.mark < progress.score
        return f"{points}; {progress.mark:.4g} after the deduction for lateness." if is_reduced else f"{points}."
    right = sum(exercise.passed is True for exercise in progress.exercises)
    return f"{right} of {len(progress.exercises)} are right on what you may see now. Marks come later."


def symbol_of(exercise: Observed) -> str:
    """A symbol for how an exercise is."""
    return SYMBOLS[exercise.kind]


def lines_of(progress: Progress) -> list[str]:
    """A result as lines of text: each exercise with what was observed, and the result in a sentence."""
    lines = []
    for exercise in progress.exercises:
        verdict = f"{symbol_of(exercise)} {exercise.name}: {exercise.verdict}"
        lines.append(f"{verdict}. {clip(exercise.message, LINE_LIMIT)}" if exercise.message else verdict)
    return [*lines, outcome(progress)]
