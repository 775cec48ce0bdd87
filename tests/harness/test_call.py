"""The harness calls a student's function on cases, and describes the result as plain data and tensors."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load

from grader.calling.asked import Asked
from grader.harness.call import Call, NotebookState, call_cases, call_function
from grader.harness.journal import Journal
from grader.harness.wire import unpack_all
from grader.modes import ordinary
from tests.case_samples import payload_of

X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
ARGUMENTS = {"x": X, "dz": 10 * X}
CELLS = {"<cell 1>": 1, "<cell 2>": 2}


class Pair(NamedTuple):
    """A named tuple whose names are no targets."""

    first: Any
    second: Any


class Gradients(NamedTuple):
    """A named tuple whose names are targets."""

    db: Any
    dw: Any


class Special(torch.Tensor):
    """A tensor of a student's class."""


def defined(code: str, *, cell: int = 2) -> NotebookState:
    """The state after a notebook whose cell has this code."""
    variables: dict[str, Any] = {"torch": torch}
    exec(compile(code, f"<cell {cell}>", "exec"), variables)
    return NotebookState(variables, CELLS)


def holding(function: Any) -> NotebookState:
    return NotebookState({"f": function}, CELLS)


def called(
    function: Any, arguments: dict[str, torch.Tensor] = ARGUMENTS, targets: tuple[str, ...] = (), **options: Any
) -> Call:
    return call_function(holding(function), Asked("f", targets), arguments, **options)


def asked(
    state: NotebookState,
    cases: dict[str, dict[str, torch.Tensor]],
    *,
    limit: int = 1 << 20,
    header: dict[str, Any] | None = None,
) -> list[tuple[dict[str, Any], dict[str, torch.Tensor]]]:
    """The header and the tensors of each message that `call_cases` writes; `header` updates the request's."""
    arguments = list(next(iter(cases.values())))
    request = {
        "function": "f",
        "arguments": arguments,
        "targets": ["w", "b"],
        "cases": list(cases),
        "inference": True,
        "limit": limit,
    }
    payload = payload_of({f"{case}/{name}": tensors[name] for case, tensors in cases.items() for name in arguments})
    written: list[bytes] = []
    call_cases((request | (header or {}), payload), state, written.append)
    messages = [list(unpack_all(content)) for content in written]
    assert all(len(message) == 1 for message in messages)
    return [(described, load(content) if content else {}) for ((described, content),) in messages]


# ------------------------------------------------------------------------------------------------ what is returned


def test_a_tensor_is_returned() -> None:
    call = called(lambda x, dz: x.T @ dz)

    assert [tensor.tolist() for tensor in call.tensors.values()] == [(X.T @ (10 * X)).tolist()]
    assert call.description == {
        "status": "returned",
        "type": "torch.Tensor",
        "collection": None,
        "parts": 1,
        "mutated": [],
        "shapes": [[2, 2]],
        "dtypes": ["float32"],
        "requires_grad": False,
    }


@pytest.mark.parametrize(
    ("value", "kind", "collection", "count"),
    [
        ((X, X.double()[0]), "tuple", "tuple", 2),
        ((X,), "tuple", "tuple", 1),
        ((), "tuple", "tuple", 0),
        ([X], "list", "list", 1),
        ([X] * 100, "list", "list", 100),
        ([X] * 101, "list", "list", 0),
        ([X, [X]], "list", "list", 0),
        ([[1.0]], "list", "list", 0),
        (Pair(X, X), "tests.harness.test_call.Pair", "named tuple", 2),
        (X.max(0), "torch.return_types.max", "named tuple", 2),
        ({"w": X, 3: X}, "dict", "dict", 2),
        (collections.OrderedDict(w=X), "collections.OrderedDict", "dict", 1),
        ({X}, "set", None, 0),
        (map(abs, [X]), "map", None, 0),
        (None, "NoneType", None, 0),
        (3.0, "float", None, 0),
        ((X, 1), "tuple", "tuple", 0),
        (X.numpy(), "numpy.ndarray", None, 0),
        (torch.nn.Parameter(X), "torch.nn.parameter.Parameter", None, 1),
        (X.as_subclass(Special), "tests.harness.test_call.Special", None, 1),
        (X.to_sparse(), "torch.Tensor", None, 0),
        (X.to("meta"), "torch.Tensor", None, 0),
        (type("T" * 300, (), {})(), f"tests.harness.test_call.{'T' * 300}"[:100], None, 0),
    ],
)
def test_every_returned_value_is_described(value: Any, kind: str, collection: str | None, count: int) -> None:
    """Only tensors with plain numbers are kept. Of other tensors, only shapes and dtypes are described."""
    call = called(lambda x, dz: value)

    assert call.description["status"] == "returned"
    assert (call.description["type"], call.description["collection"]) == (kind, collection)
    assert len(call.tensors) == count
    assert all(type(tensor) is torch.Tensor and not tensor.requires_grad for tensor in call.tensors.values())
    parts = list(value.values() if isinstance(value, dict) else value if collection else (value,))
    has_shapes = all(isinstance(part, torch.Tensor) for part in parts) and len(parts) <= 100
    assert call.description["parts"] == len(parts)
    assert call.description.get("shapes") == ([list(part.shape) for part in parts] if has_shapes else None)


W, B, OTHER = X, 2 * X, 3 * X


@pytest.mark.parametrize(
    ("value", "order"),
    [
        ({"w": W, "b": B}, (W, B)),
        ({"b": B, "w": W}, (W, B)),
        ({"db": B, "dw": W}, (W, B)),
        ({"d_b": B, "grad_w": W}, (W, B)),
        ({"b": B, "first": W}, (W, B)),  # what has no target's name takes the place that is left
        ({"second": B, "first": W}, (B, W)),  # no names of targets: in order
        ({2: B, None: W}, (B, W)),
        ({"w": B, "dw": W}, (B, W)),  # two with one name: in order
        ({"b": B, "w": W, "x": OTHER}, (B, W, OTHER)),  # too many, which is the grader's to say
        (Gradients(B, W), (W, B)),
        (Pair(W, B), (W, B)),
        ([B, W], (B, W)),
        ((B, W), (B, W)),
    ],
)
def test_what_names_targets_is_put_in_their_order(value: Any, order: tuple[torch.Tensor, ...]) -> None:
    call = called(lambda x, dz: value, targets=("w", "b"))

    assert [tensor.tolist() for tensor in call.tensors.values()] == [tensor.tolist() for tensor in order]


def test_a_tensor_that_requires_grad_is_reported() -> None:
    def outside(x: torch.Tensor, dz: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x, torch.nn.Parameter(dz)

    assert called(outside).description["requires_grad"] is True
    assert called(lambda x, dz: (x, dz)).description["requires_grad"] is False


@pytest.mark.parametrize("inference", [True, False])
def test_a_function_runs_in_inference_mode_or_in_grad_mode(inference: bool) -> None:
    modes: list[tuple[bool, bool]] = []

    called(
        lambda x, dz: modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled())), inference=inference
    )

    assert modes == [(inference, not inference)]
    assert not torch.is_inference_mode_enabled()


def test_autograd_is_recorded_in_traced_calls_only() -> None:
    def backward(x: torch.Tensor, dz: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.threshold_backward(dz, x, 0)

    for traced, notes in ((True, [["called aten::threshold_backward"]]), (False, [])):
        written: list[bytes] = []
        state = holding(backward)
        state.journal.turn_to("a", written.append)
        call_function(state, Asked("f"), ARGUMENTS, traced=traced)
        assert [header["autograd"] for content in written for header, _ in unpack_all(content)] == notes


# ---------------------------------------------------------------------------------------------------- the arguments


def test_arguments_are_copies() -> None:
    """If a function writes into its arguments, this is reported, and the next call gets the original values."""

    def writes(x: torch.Tensor, dz: torch.Tensor) -> torch.Tensor:
        dz.mul_(2)
        return x

    arguments = {"x": torch.tensor([1.0, math.nan]), "dz": torch.ones(2)}

    assert called(writes, arguments).description["mutated"] == ["dz"]
    assert called(writes, arguments).description["mutated"] == ["dz"]
    assert arguments["dz"].tolist() == [1.0, 1.0]
    assert called(lambda x, dz: x, arguments).description["mutated"] == []


@pytest.mark.parametrize(
    "write",
    [
        lambda tensor: tensor.resize_(1),
        lambda tensor: tensor.zero_(),
        lambda tensor: tensor.set_(torch.zeros(2, 2, dtype=tensor.dtype)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_every_change_of_an_argument_is_reported(write: Callable[[torch.Tensor], Any], dtype: torch.dtype) -> None:
    ones = torch.ones(2, 2, dtype=dtype)

    assert called(lambda x: write(x), {"x": ones}, inference=False).description["mutated"] == ["x"]


WRAPPED = """
import functools
def decorated(f):
    {wraps}
    def inner(*args{kwargs}): return f(*args)
    return inner
@decorated
def f({names}): return x - dz
"""


@pytest.mark.parametrize(
    "code",
    [
        "def f(x, dz): return x - dz",
        "def f(x, dz, /): return x - dz",
        "def f(dz, x): return x - dz",  # the same names in another order
        "def f(dz, x, /): return x - dz",
        "def f(a, b): return a - b",  # other names
        "def f(dz, b): return dz - b",  # not all of the names: by position
        "def f(dz, x, y=1): return x - dz",  # all of the names, and others that have a value
        "def f(dz, y=1, x=None): return x - dz",
        "def f(a, b, dz=1): return a - b",
        "def f(dz, x, *rest): return x - dz",
        "def f(*all): return all[0] - all[1]",
        "def f(*, x, dz): return x - dz",
        "def f(*, dz, x): return x - dz",
        "def f(*, a, b): return a - b",
        "def f(a, *, dz): return a - dz",
        "def f(b, *, x): return x - b",
        "def f(a, *, b): return a - b",
        "def f(*all, dz): return all[0] - dz",
        "def f(*, dz, x, scale=1): return scale * (x - dz)",
        "def f(**gradients): return gradients['x'] - gradients['dz']",
        "def f(dz, **rest): return rest['x'] - dz",
        "def f(x, dz=None, **rest): return x - dz",
        "def f(a, **rest): return a - rest['dz']",
        WRAPPED.format(wraps="@functools.wraps(f)", kwargs="", names="dz, x"),
        WRAPPED.format(wraps="@functools.wraps(f)", kwargs=", **kwargs", names="x, dz"),
        WRAPPED.format(wraps="", kwargs=", **kwargs", names="x, dz"),
        "import functools\ndef g(dz, scale, x): return scale * (x - dz)\nf = functools.partial(g, scale=1)",
        "f = torch.sub",  # without a signature
        "class F:\n    def __call__(self, dz, x): return x - dz\nf = F()",
    ],
)
def test_arguments_are_bound_by_name_or_else_by_position(code: str) -> None:
    call = call_function(defined(code), Asked("f"), ARGUMENTS)

    assert call.description["status"] == "returned", call.description
    assert call.tensors[0].tolist() == (-9 * X).tolist()


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): return x",
        "def f(x, dz, y): return x",
        "def f(x, *, a, b): return x",
        "def f(*, x): return x",
        "def f(x, dz, *, y): return x",
        "def f(): return 1",
    ],
)
def test_parameters_that_do_not_fit_raise_what_python_raises(code: str) -> None:
    call = call_function(defined(code), Asked("f"), ARGUMENTS)

    assert call.description["error"]["type"] == "TypeError"
    assert call.description["error"]["message"].startswith("f() ")


# ----------------------------------------------------------------------------------------------------- what is raised


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no"), "raised"),
        (SystemExit(3), "raised"),
        (KeyboardInterrupt(), "raised"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"), "out_of_memory"),
    ],
)
def test_every_exception_is_described(error: BaseException, status: str) -> None:
    def raises(x: torch.Tensor, dz: torch.Tensor) -> None:
        raise error

    call = called(raises)

    assert (call.tensors, call.description["status"]) == ({}, status)
    described = call.description["error"]
    assert (described["type"], described["message"]) == (type(error).__name__, str(error))
    assert described["frames"] == [], "no line of the notebook's"


def test_a_traceback_has_only_lines_of_the_notebook() -> None:
    """Each frame has the number of its cell. Of many frames, the innermost are kept."""
    state = defined(
        "def helper(n):\n    if n == 0:\n        return torch.ones(2) @ torch.ones(3)\n    return helper(n - 1)\n"
        "def f(x, dz):\n    return helper(int(x))\n"
    )

    shallow = call_function(state, Asked("f"), {"x": torch.tensor(0), "dz": X}).description["error"]
    deep = call_function(state, Asked("f"), {"x": torch.tensor(50), "dz": X}).description["error"]

    assert shallow["type"] == "RuntimeError"
    assert shallow["frames"] == [
        {"cell": 2, "line": 6, "function": "f"},
        {"cell": 2, "line": 3, "function": "helper"},
    ]
    assert [frame["line"] for frame in deep["frames"]] == [4] * 11 + [3]


def test_long_exceptions_are_cut_short() -> None:
    def raises(x: torch.Tensor, dz: torch.Tensor) -> None:
        raise type("E" * 300, (Exception,), {})("m" * 5000)

    error = called(raises).description["error"]

    assert (error["type"], error["message"]) == ("E" * 100, "m" * 2000)


def test_a_result_may_raise_when_it_is_touched() -> None:
    class Touched(BaseException): ...

    class Armed(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            raise Touched

    armed = torch.ones(3).as_subclass(Armed)

    call = called(lambda x, dz: armed)

    assert (call.tensors, call.description["status"]) == ({}, "raised")
    assert call.description["error"]["type"].endswith("Touched")


@pytest.mark.parametrize(
    ("variables", "kind"), [({}, None), ({"f": 3}, "int"), ({"f": X}, "torch.Tensor"), ({"f": None}, "NoneType")]
)
def test_a_variable_that_is_not_a_function_is_missing(variables: dict[str, Any], kind: str | None) -> None:
    """The type of the variable is reported, if there is one."""
    call = call_function(NotebookState(variables, {}), Asked("f"), ARGUMENTS)

    assert (call.tensors, call.description) == ({}, {"status": "missing", "type": kind})


# ------------------------------------------------------------------------------------------------------ several cases


@pytest.mark.parametrize("is_trial", [False, True])
def test_a_trace_that_was_changed_is_told_where_it_is_tried(is_trial: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "note", lambda *_: None)

    messages = asked(holding(lambda x, dz: x), {"a": {"x": X, "dz": X}}, header={"trial": is_trial})

    told = ["could not be watched: the grader no longer sees a backward pass of its own"]
    assert [header["did"] for header, _ in messages if "did" in header] == [told] * is_trial


def test_each_case_has_its_message() -> None:
    """A case that raises does not stop the cases after it."""
    calls: list[int] = []

    def f(x: torch.Tensor, dz: torch.Tensor) -> torch.Tensor:
        calls.append(len(calls))
        if len(calls) == 2:
            raise ValueError(len(calls))
        return x.T.mul(calls[-1])

    (first, one), (second, two), (third, three) = asked(
        holding(f), {case: {"x": X + number, "dz": X} for number, case in enumerate("abc")}
    )

    assert [header["case"] for header in (first, second, third)] == ["a", "b", "c"]
    assert [header["status"] for header in (first, second, third)] == ["returned", "raised", "returned"]
    assert (list(one), two, list(three)) == (["0"], {}, ["0"])
    assert three["0"].tolist() == ((X + 2).T * 2).tolist()


def test_several_tensors_of_a_call_may_share_memory() -> None:
    ((_, tensors),) = asked(holding(lambda x, dz: (x, x, x.T, x[0].expand(3, 2))), {"a": {"x": X, "dz": X}})

    values = [tensors[str(number)].tolist() for number in range(4)]
    assert values == [X.tolist(), X.tolist(), X.T.tolist(), X[:1].tolist() * 3]


@pytest.mark.parametrize(("limit", "is_sent"), [(4 * 16, True), (4 * 16 - 1, False)])
def test_large_tensors_are_not_sent(limit: int, is_sent: bool) -> None:
    """The limit is a quarter of what all cases may take together. Shapes are always sent."""
    ((header, tensors),) = asked(holding(lambda x, dz: x), {"a": {"x": X, "dz": X}}, limit=limit)

    assert bool(tensors) is is_sent
    assert header["shapes"] == [[2, 2]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.qint8, torch.uint4])
def test_tensors_of_unusual_dtypes_are_not_sent(dtype: torch.dtype) -> None:
    is_quantized = dtype is torch.qint8
    tensor = torch.quantize_per_tensor(X, 1.0, 0, dtype) if is_quantized else torch.empty(2, 2, dtype=dtype)

    ((header, tensors),) = asked(holding(lambda x, dz: tensor), {"a": {"x": X, "dz": X}})

    assert (tensors, header["dtypes"], header["shapes"]) == ({}, [str(dtype).removeprefix("torch.")], [[2, 2]])


CONSTANT = "def f(x, dz):\n    return {}"


@pytest.mark.parametrize(
    ("returned", "narrowed"),
    [
        ("x @ dz", False),
        ("x @ torch.ones(2, 2)", True),  # raises in float64
        ("x.float() + 1", True),  # is float32 for float64 arguments
        ("(x, dz.float())", True),
        ("x.long()", False),
        ("x @ (torch.ones(2, 2) if x.dtype == torch.float64 else torch.ones(3, 3))", False),  # raises in either
        ("None", False),
    ],
)
def test_a_function_may_be_called_in_float32_instead(returned: str, narrowed: bool) -> None:
    """It is, if it raises or returns float32 in float64. If that does not help, the first call counts."""
    wide = {"a": {"x": X.double(), "dz": X.double()}}

    ((header, tensors),) = asked(defined(CONSTANT.format(returned)), wide)

    assert header.get("narrowed", False) is narrowed
    if narrowed:
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    if header["status"] == "raised":
        assert "dtype" in header["error"]["message"]


def test_integer_arguments_are_never_converted() -> None:
    dtypes: list[tuple[torch.dtype, ...]] = []

    def f(x: torch.Tensor, dz: torch.Tensor) -> torch.Tensor:
        dtypes.append((x.dtype, dz.dtype))
        return dz.float()

    asked(holding(f), {"a": {"x": X.long(), "dz": X.double()}})
    asked(holding(f), {"a": {"x": X.long(), "dz": X}})

    assert dtypes == [(torch.int64, torch.float64), (torch.int64, torch.float32), (torch.int64, torch.float32)]


def test_a_variable_may_have_another_value_in_one_case() -> None:
    """All cases get the same arguments. Afterwards the variable has its old value again."""
    state = defined("n = 64\ndef f(x, dz):\n    return x * n")
    change = {"name": "n", "kind": "values", "frozen": False}

    header = {"cases": ["same", "changed", "again"], "on": "mnist", "rebind": {"changed": change}}
    written = asked(state, {"mnist": {"x": X, "dz": X}}, header=header)

    assert {header["case"]: tensors["0"][0, 0].item() for header, tensors in written} == {
        "same": 64.0,
        "changed": 32.0,
        "again": 64.0,
    }


@pytest.fixture(autouse=True)
def _grad_mode_is_given_back() -> Iterator[None]:
    yield
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


# ------------------------------------------------------------------------------------------------ float32 on the way


@pytest.mark.parametrize(
    "function",
    [
        lambda x, dz: x.float() @ dz.float(),
        lambda x, dz: (x.float() @ dz.float()).double(),
        lambda x, dz: dz * x.to(torch.float32),
        lambda x, dz: torch.zeros(2, 2).copy_(x) == dz,
        lambda x, dz: dz + torch.zeros(2, 2).add_(x),
        lambda x, dz: torch.zeros(2, 2) @ dz,
    ],
)
def test_a_function_that_rounds_to_float32_is_called_in_float32(function: Callable[..., Any]) -> None:
    """Wherever it does so: then a result in float64 is no more right than one in float32."""
    wide = {name: tensor.double() for name, tensor in ARGUMENTS.items()}

    ((described, _),) = asked(holding(function), {"vjp": wide})

    assert described["narrowed"] is True


@pytest.mark.parametrize(
    "function",
    [
        lambda x, dz: x @ dz * torch.tensor(1 / 3),
        lambda x, dz: x * torch.full((1, 2), 1 / 3),
        lambda x, dz: dz * (x > 0).float(),
        lambda x, dz: dz / torch.sqrt(torch.tensor(x.shape[0])),
        lambda x, dz: dz.half().double(),
    ],
)
def test_constants_in_float32_and_half_precision_are_no_reason_to_call_again(function: Callable[..., Any]) -> None:
    wide = {name: tensor.double() for name, tensor in ARGUMENTS.items()}

    ((described, tensors),) = asked(holding(function), {"vjp": wide})

    assert "narrowed" not in described
    assert tensors["0"].dtype is torch.float64


def test_only_the_default_dtype_of_the_notebook_reaches_a_function() -> None:
    def made(x: torch.Tensor, dz: torch.Tensor) -> torch.Tensor:
        return torch.zeros(2, 2) + (x @ dz)

    state = NotebookState({"f": made}, CELLS, default_dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16), ordinary():
        call = call_function(state, Asked("f"), ARGUMENTS)

    assert call.description["dtypes"] == ["float64"]
    assert torch.equal(call.tensors[0], (X @ (10 * X)).double())
