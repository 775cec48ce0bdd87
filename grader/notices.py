"""
Remarks on how a function is written that cost no points, and what an instructor should look at.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from grader.calling.exercise import Exercise
from grader.compare import Comparison, same_but_for_ones
from grader.execution.calls import Returned, Told
from grader.execution.channel import Reply
from grader.model import Flag, Notice, Outcome
from grader.notebook.functions import Definition

__all__ = ["flag_of_failure", "flags_of", "flags_of_reply", "notice_of_constants", "notices_of"]


def notices_of(
    exercise: Exercise,
    definitions: Sequence[Definition],
    ran: Definition | None,
    returned: Sequence[Returned],
) -> tuple[Notice, ...]:
    """
    What a student may do better, although it costs no points.

    Args:
        definitions: All definitions of that name in the notebook.
        ran: That of what ran, if it is known.
        returned: What became of the call on each case.
    """
    name, count = exercise.name, len(exercise.parts)
    notices = []
    collection = next((call.collection for call in returned if call.tensors and call.collection), None)
    if collection is not None and count == 1:
        comma = " Is there a comma at the end?" if collection == "tuple" else ""
        notices.append(
            Notice(id="collection", message=f"{name} returns a {collection} of one tensor, not the tensor.{comma}")
        )
    elif collection not in (None, "tuple") and not exercise.equation:
        notices.append(
            Notice(
                id="collection", message=f"{name} returns a {collection} where a tuple of {count} tensors is asked for."
            )
        )
    mutated = sorted({argument for call in returned for argument in call.mutated})
    if mutated:
        notices.append(
            Notice(
                id="mutates_input",
                message=f"{name} changes its argument {', '.join(mutated)} in place, and so the caller's tensor, too. "
                "Work on a clone.",
            )
        )
    if any(call.requires_grad for call in returned):
        notices.append(
            Notice(id="requires_grad", message=f"{name} returns a tensor that requires grad: autograd is still on.")
        )
    is_wider = any("float64" in call.dtypes and call.argument_dtype == torch.float32 for call in returned)
    if is_wider and exercise.arrays == "torch" and not exercise.equation:
        notices.append(
            Notice(
                id="wider_dtype", message=f"{name} returns float64 for float32 arguments, which takes twice the memory."
            )
        )
    if any(call.argument_dtype != call.case.dtype for call in returned):
        notices.append(
            Notice(
                id="float32_only",
                message=f"{name} works only in float32: it makes a tensor of a fixed dtype (try `dtype=` or `*_like`).",
            )
        )
    if exercise.is_squeezable and any(map(_lacks_ones, returned)):
        notices.append(
            Notice(
                id="dropped_ones",
                message=f"{name} returns a shape with a dimension of size 1 too few or too many, which is accepted "
                "here.",
            )
        )
    in_cells = sorted({definition.code.cell for definition in definitions})
    if len(in_cells) > 1 and ran is not None:
        cells = ", ".join(f"In [{cell}]" for cell in in_cells)
        which = "the last one" if ran.code.cell == in_cells[-1] else f"the one in In [{ran.code.cell}]"
        notices.append(
            Notice(id="defined_twice", message=f"{name} is defined {len(in_cells)} times ({cells}): {which} counts.")
        )
    return tuple(notices)


def _lacks_ones(call: Returned) -> bool:
    """Whether a part of a result has the right shape but for dimensions of size 1."""
    right = [tuple(tensor.shape) for tensor in call.case.expected]
    pairs = zip(call.shapes, right, strict=False) if call.tensors and len(call.shapes) == len(right) else ()
    return any(got != expected and same_but_for_ones(got, expected) for got, expected in pairs)


def notice_of_constants(exercise: Exercise, compared: Sequence[Sequence[Comparison]]) -> tuple[Notice, ...]:
    """A remark if in float64 the answer is off by what constants in float32 explain, and not by more."""
    errors = [c.max_rel_error or 0.0 for comparisons in compared for c in comparisons if c.has_float32_constants]
    if not errors or any(c.outcome is not Outcome.MATCH for comparisons in compared for c in comparisons):
        return ()
    return (
        Notice(
            id="float32_constant",
            message=f"For float64 arguments, {exercise.name} is off by {max(errors):.0e} of its largest entry, as if a "
            "constant in it were made in float32. This costs no points. To keep all digits, use a plain number, or "
            "give `dtype=` where you make a tensor.",
        ),
    )


def flags_of(
    exercise: Exercise, definition: Definition | None, used: Sequence[str], told: Sequence[Told], *, did: Sequence[str]
) -> tuple[Flag, ...]:
    """
    A flag for each use of autograd that was observed; others for what was unusual, and for what the code only mentions.

    Args:
        used: The uses on cases that may be spoken of.
        told: The words of the hidden cases: of these, no evidence is shown.
        did: What else the function did that a gradient function has no reason to do. It costs nothing.
    """
    mentioned = definition.autograd if definition is not None else ()
    is_used_unseen = not used and any(word.uses_autograd or word.outcome is Outcome.FORBIDDEN for word in told)
    unseen = Flag(id="autograd", exercise=exercise.name, evidence="it used autograd in a hidden case", is_hidden=True)
    return (
        *(Flag(id="autograd", exercise=exercise.name, evidence=f"when called, it {use}") for use in used),
        *((unseen,) if is_used_unseen else ()),
        *(Flag(id="unusual", exercise=exercise.name, evidence=f"when called, it {what}") for what in did),
        *(Flag(id="source_mentions_autograd", exercise=exercise.name, evidence=use) for use in mentioned),
    )


def flags_of_reply(exercise: Exercise, *replies: Reply | None) -> tuple[Flag, ...]:
    """A flag if a reply had parts that the grader's own code does not send: somebody has changed that code."""
    if not any(reply is not None and reply.is_odd for reply in replies):
        return ()
    evidence = "the notebook's process sent results that the grader's own code does not send like this"
    return (Flag(id="odd_reply", exercise=exercise.name, evidence=evidence),)


def flag_of_failure(exercise: Exercise, error: Exception) -> Flag:
    """The flag for a wrong gradient that the grader failed to explain: a fault of its own."""
    evidence = f"the grader failed to explain what it returned ({type(error).__name__}); its outcome stands"
    return Flag(id="unexplained", exercise=exercise.name, evidence=evidence)
