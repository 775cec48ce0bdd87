"""What a student's code shows is read from it, whatever it looks like, and nothing from what is not code."""

from __future__ import annotations

import ast
import math
import time

import msgspec
import pytest

from grader.execution.messages import FromConductor, Read
from grader.notebook.functions import find_functions_in
from grader.notebook.written import Written, written_in

MOST_SECONDS = 20
"""How much of the processor's time the code of one function may take. It takes far less if not each path is walked."""


def written(code: str) -> Written:
    return written_in(ast.parse(code).body[0])


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        ("d = a\n    d = b\n    return d", ("d",)),
        ("d = a\n    d = d + b\n    return d", ()),
        ("d = torch.zeros(3)\n    d = b\n    return d", ()),
        ("d = a\n    d += b\n    return d", ()),
        ("_ = a\n    _ = b\n    return a", ()),
        ("for r in a:\n        d = r * b\n    return d", ("d",)),
        ("for r in a:\n        d = r * b\n    return a", ()),
        ("d = 0\n    for r in a:\n        d = d + r\n    return d", ()),
        ("for r in a:\n        s = r * b\n        t += s\n    return t", ()),
        ("for r in a:\n        d, s = r * b, r\n    return d", ("d",)),
        ("d = 0\n    for r in a:\n        d, s = d + r, r\n    return d", ()),
        ("for i in a:\n        for j in b:\n            d[j] = a[i]\n    return d", ("d",)),
        ("for j in b:\n        for i in a:\n            d[j] = a[i]\n    return d", ("d",)),
        ("for i in a:\n        for j in b:\n            d[i, j] = a[j]\n    return d", ()),
        ("for i in a:\n        k = i + 1\n        d[k] = a[i]\n    return d", ()),
        ("for i in a:\n        d[k] = a[i]\n        k = k + 1\n    return d", ()),
        ("for i in a:\n        for j in b:\n            d[j] = d[j] + a[i]\n    return d", ()),
        ("for i in a:\n        for j in b:\n            d[j] = 1\n    return d", ()),
        ("for i in a:\n        for j in b:\n            if i == j:\n                d[j] = a[i]\n    return d", ()),
    ],
)
def test_values_that_are_replaced_unread(body: str, lost: tuple[str, ...]) -> None:
    assert written(f"def f(a, b):\n    {body}").lost == lost


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("def f(a):\n    global t\n    t += a\n    return t", ("t",)),
        ("def f(a):\n    t.add_(a)\n    return t", ("t",)),
        ("def f(a):\n    t[0] += a\n    return t", ("t",)),
        ("def f(a, t=[]):\n    t.append(a)\n    return sum(t)", ("t",)),
        ("def f(t=[], /):\n    t.append(1)\n    return sum(t)", ("t",)),
        ("def f(a):\n    global calls\n    calls += 1\n    return a", ()),
        ("def f(a):\n    global calls\n    calls = calls + 1\n    return a", ()),
        ("def f(a):\n    log.append(a)\n    return a", ()),
        ("def f(a):\n    t = a.clone()\n    t.add_(a)\n    return t", ()),
        ("def f(a):\n    a.add_(1)\n    return a", ()),
    ],
)
def test_variables_outside_that_are_changed_and_used(code: str, changed: tuple[str, ...]) -> None:
    assert written(code).changed_outside == changed


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ("m = b.mean()\n    return a", {"a": 1}),
        ("m = b.mean()\n    n = m + 1\n    return a", {"a": 1}),
        ("m = b.mean()\n    return a - m", {"a": 1, "b": 1}),
        ("return a.sum() / len(b)", {"a": 1}),
        ("return a / b.shape[0] + torch.ones_like(b)", {"a": 1}),
        ("global m\n    m = b\n    return a", {"a": 1, "b": 1}),
        ("m[0] = b\n    return a", {"a": 1, "b": 1}),
    ],
)
def test_arguments_count_where_their_values_have_an_effect(body: str, counts: dict[str, int]) -> None:
    found = written(f"def f(a, b):\n    {body}")
    assert {name: found.count(name) for name in "ab" if found.count(name)} == counts


def test_the_nearest_code_is_the_one_with_the_same_operations() -> None:
    found = written("def f(x, d):\n    s = torch.matmul(x.t(), d)\n    return s.mean(axis=0)")

    assert found.distance("def f(x, d):\n    return (x.T @ d).mean(dim=0)") < found.distance(
        "def f(x, d):\n    return (x.T @ d).sum(dim=0)"
    )


def test_a_helper_may_do_anything() -> None:
    assert written("def f(a):\n    return softmax(a) * 2").calls_helpers
    assert not written("def f(a):\n    return torch.softmax(a, len(a.shape) - 1) * 2").calls_helpers


def test_an_empty_cell_is_evidence_for_nothing() -> None:
    assert written_in(ast.parse("")) == Written()


HOSTILE = {
    "deep": "def f(a):\n    return " + "(" * 100_000 + "a" + ")" * 100_000,
    "deep without brackets": "def f(a):\n    return " + "-" * 100_000 + "a",
    "shifted": "def f(a):\n    return 1 << (1 << 40)",
    "power": "def f(a):\n    return 9**9**9",
    "a number with many digits": "def f(a):\n    return a + 0x" + "f" * 100_000,
    "no finite number": "def f(a):\n    return a + 1e999 + 1e999j",
    "many statements": "def f(a):\n" + "    d = a\n" * 20_000 + "    return d",
    "many statements in a cell": "d = a\n" * 20_000,
    "many names": "def f(a):\n" + "".join(f"    d{i} = a{i}.x{i}\n" for i in range(10_000)) + "    return d0",
    "many loops": "def f(a):\n" + "    for r in a: d = r\n" * 10_000 + "    return d",
    "few enough loops": "def f(a):\n" + "    for r in a: d = r\n" * 400 + "    return d",
    "few enough calls in a chain": "def f(a):\n    return t" + ".a_()" * 490,
    "a long name": "def f(a):\n    global " + "x" * 1_000_000 + "\n    " + "x" * 1_000_000 + " += a\n    return a",
    "a long string": "def f(a):\n    return '" + "x" * 1_000_000 + "'",
    "half a character": "def f(a):\n    return a + '\ud800'",
    "half a character in its escape": "def f(a):\n    return a + '\\ud800'",
    "a null byte": "def f(a):\n    return a\x00",
    "no code": "def f(:",
    "another language": "%%html\ndef f(a):\n    return a",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_code_is_read_in_time_or_not_at_all(kind: str) -> None:
    """And what is found of it can be sent to the judge."""
    index = find_functions_in({1: HOSTILE[kind]}, ("f",))
    message = msgspec.msgpack.encode(Read(definitions={"f": index.definitions.get("f", ())}))
    received = msgspec.msgpack.decode(message, type=FromConductor)

    assert received.definitions["f"] == index.definitions.get("f", ())
    assert len(message) < 4 * len(HOSTILE[kind].encode(errors="replace")) + 100_000
    if kind.startswith("many"):
        assert not any(definition.written.is_known for definition in index.definitions.get("f", ()))


@pytest.mark.parametrize("kind", ["few enough loops", "few enough calls in a chain", "many statements"])
def test_what_stands_in_code_is_found_in_a_moment(kind: str) -> None:
    function = ast.parse(HOSTILE[kind]).body[0]
    before = time.process_time()
    written_in(function)

    assert time.process_time() - before < MOST_SECONDS


@pytest.mark.parametrize(
    "fields",
    [
        {"names": ["a"] * 10_000},
        {"names": ["a" * 1_000]},
        {"changed_outside": ["<b>"]},
        {"numbers": ["4"]},
        {"features": [["a", 1 << 40]]},
        {"features": [["a", -1]]},
        {"lost": ["a b"]},
        {"features": [["a" * 101, 1]]},
    ],
)
def test_what_no_code_can_contain_does_not_arrive(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, type=Written)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1e300])
def test_a_number_that_no_code_was_read_for_is_not_received(number: float) -> None:
    index = find_functions_in({1: "def f(a):\n    return a * 4"}, ("f",))
    message = msgspec.msgpack.encode(Read(definitions={"f": index.definitions["f"]}))
    assert msgspec.msgpack.encode(4.0) in message

    sent = message.replace(msgspec.msgpack.encode(4.0), msgspec.msgpack.encode(number))
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(sent, type=FromConductor)


@pytest.mark.parametrize("word", ["4", "4.5", "1e-05", "1.5e-07", "True", "mean", "λ"])
def test_each_feature_of_code_is_received(word: str) -> None:
    assert written(f"def f(a):\n    return {word}").features == ((word, 1),)


@pytest.mark.parametrize("word", ["4a", "²", "1e", "nan()", "", "a b", "-4"])
def test_what_is_no_feature_of_code_is_not_received(word: str) -> None:
    with pytest.raises(ValueError, match="more than the code"):
        Written(is_known=True, features=((word, 1),))
