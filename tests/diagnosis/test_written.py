"""What a student's code shows is read from it, whatever it looks like, and nothing from what is no code."""

from __future__ import annotations

import pytest

from grader.diagnosis.written import Written


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        ("d = a\n    d = b\n    return d", ("d",)),
        ("d = a\n    d = d + b\n    return d", ()),
        ("d = torch.zeros(3)\n    d = b\n    return d", ()),
        ("d = a\n    d += b\n    return d", ()),
        ("for r in a:\n        d = r * b\n    return d", ("d",)),
        ("d = 0\n    for r in a:\n        d = d + r\n    return d", ()),
        ("for r in a:\n        s = r * b\n        t += s\n    return t", ()),
    ],
)
def test_values_that_are_replaced_unread(body: str, lost: tuple[str, ...]) -> None:
    assert Written(f"def f(a, b):\n    {body}").lost == lost


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("def f(a):\n    global t\n    t += a\n    return t", ("t",)),
        ("def f(a):\n    t.add_(a)\n    return t", ("t",)),
        ("def f(a):\n    t[0] += a\n    return t", ("t",)),
        ("def f(a, t=[]):\n    t.append(a)\n    return sum(t)", ("t",)),
        ("def f(a):\n    global calls\n    calls += 1\n    return a", ()),
        ("def f(a):\n    log.append(a)\n    return a", ()),
        ("def f(a):\n    t = a.clone()\n    t.add_(a)\n    return t", ()),
        ("def f(a):\n    a.add_(1)\n    return a", ()),
    ],
)
def test_variables_outside_that_are_changed_and_used(code: str, changed: tuple[str, ...]) -> None:
    assert Written(code).changed_outside == changed


def test_the_nearest_code_is_the_one_with_the_same_operations() -> None:
    written = Written("def f(x, d):\n    s = torch.matmul(x.t(), d)\n    return s.mean(axis=0)")

    assert written.distance("def f(x, d):\n    return (x.T @ d).mean(dim=0)") < written.distance(
        "def f(x, d):\n    return (x.T @ d).sum(dim=0)"
    )


def test_a_helper_may_do_anything() -> None:
    assert Written("def f(a):\n    return softmax(a) * 2").calls_helpers
    assert not Written("def f(a):\n    return torch.softmax(a, len(a.shape) - 1) * 2").calls_helpers


@pytest.mark.parametrize("code", ["", "def f(:", "%%time\nx = 1", "(" * 5000])
def test_what_is_no_code_is_evidence_for_nothing(code: str) -> None:
    written = Written(code)

    assert not written.is_known
    assert (written.lost, written.changed_outside, written.takes_a_mean) == ((), (), False)
