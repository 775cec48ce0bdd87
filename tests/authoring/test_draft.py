"""A draft of a source notebook is made from the notebooks that courses have, as three different tools make them."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grader.assignment.source import SourceNotebook, read_source
from grader.authoring.blanks import STUB, with_regions
from grader.authoring.draft import draft_from, read_notebook_of_course
from grader.authoring.marks import says_marks
from grader.authoring.validate import validate
from grader.cli import main

NETWORK = """def init_parameters(generator):
    return {"w": 0.01 * torch.randn(784, 1, generator=generator), "b": torch.zeros(1, 1)}


def affine(x, w, b):
    return x @ w + b


def forward(x, y, w, b):
    yhat = affine(x, w, b)
    return {"yhat": yhat, "loss": (yhat - y).square().mean()}
"""
CODE, TEXT, RAW = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell, nbformat.v4.new_raw_cell


def nbgrader(code: str, grade_id: str, *, points: int | None = None, solution: bool = True) -> NotebookNode:
    settings = {"grade": points is not None, "grade_id": grade_id, "locked": not solution, "schema_version": 3}
    settings |= {"solution": solution, "task": False} | ({} if points is None else {"points": points})
    return CODE(code, metadata={"nbgrader": settings})


BY_NBGRADER = [
    TEXT("# Regression by hand\n\nDerive the gradients."),
    CODE("%matplotlib inline\nimport torch\nimport matplotlib.pyplot as plt"),
    CODE(NETWORK),
    CODE("batch = torch.rand(4, 784)"),
    nbgrader(
        'def grad_yhat(yhat, y):\n    """The gradient of yhat, (N, 1)."""\n'
        "    ### BEGIN SOLUTION\n    return 2 / len(y) * (yhat - y)\n    ### END SOLUTION",
        "grad-yhat",
    ),
    nbgrader("assert grad_yhat is not None", "test-visible", points=1, solution=False),
    nbgrader(
        "### BEGIN HIDDEN TESTS\nassert grad_yhat(1, 2) == -2\n### END HIDDEN TESTS", "t2", points=2, solution=False
    ),
    nbgrader(
        "def affine_backward(dyhat, cache):\n    x, w, b = cache\n    ### BEGIN SOLUTION\n    grads = {}\n"
        "    grads['w'] = x.T @ dyhat\n    grads['b'] = dyhat.sum(0, keepdim=True)\n    return grads\n"
        "    ### END SOLUTION",
        "layer",
        points=4,
    ),
]
BY_OTTER = [
    RAW("# ASSIGNMENT CONFIG\ninit_cell: true"),
    TEXT("# Regression"),
    CODE("import torch"),
    RAW("# BEGIN QUESTION\nname: q1\npoints: 3"),
    TEXT("Write it."),
    RAW("# BEGIN SOLUTION"),
    CODE(
        'def grad_yhat(yhat, y):\n    """The gradient of yhat."""\n    n = len(y) # SOLUTION\n'
        "    return 2 / n * (yhat - y) # SOLUTION"
    ),
    RAW("# END SOLUTION"),
    RAW("# BEGIN TESTS"),
    CODE("assert True"),
    CODE("# HIDDEN\nassert True"),
    RAW("# END TESTS"),
    RAW("# END QUESTION"),
    RAW("# BEGIN QUESTION\nname: q2"),
    CODE('dyhat = 2 * (yhat - y) / len(y) # SOLUTION\n""" # BEGIN PROMPT\ndyhat = ...\n""" # END PROMPT'),
    CODE('grader.check("q2")'),
]
PLAIN = [
    TEXT("# Layers"),
    CODE(
        "def softmax_loss(x, y):\n    loss, dx = None, None\n"
        "    # *****START OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****\n\n    pass\n\n"
        "    # *****END OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****\n    return loss, dx"
    ),
    CODE('def grad_b(dz):\n    """The gradient of b."""\n    # YOUR CODE HERE\n    raise NotImplementedError()'),
    CODE(
        "def linear_backward(dZ, cache):\n    A, W, b = cache\n    ### START CODE HERE ###\n    dW = None\n"
        "    ### END CODE HERE ###\n    return dA, dW, db"
    ),
    CODE("class Layer:\n    def forward(self, x):\n        # TODO: write this\n        pass"),
]


def drafted(cells: list[NotebookNode], folder: Path) -> tuple[SourceNotebook | None, str]:
    """The draft, read as a source notebook if it can be, and its text."""
    copies = [nbformat.from_dict(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=copies), folder / "course.ipynb")
    arguments = ["new", "mine", "--solutions", str(folder), "--from-notebook", str(folder / "course.ipynb")]
    assert main(arguments) == 0
    text = (folder / "mine.md").read_text(encoding="utf-8")
    return (None if "class Layer" in text else read_source(folder / "mine.md")), text


@pytest.mark.filterwarnings("ignore")
def test_one_by_nbgrader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its network is there, its tests are left out, and their points are the exercises'. It is sound as it is."""
    source, text = drafted(BY_NBGRADER, tmp_path)

    said = capsys.readouterr().err
    assert source is not None
    assert source.title == "Regression by hand"
    assert [(exercise.name, exercise.points) for exercise in source.exercises] == [
        ("grad_yhat", 3),
        ("affine_backward", 4),
    ]
    assert source.exercises[1].equation == "affine_backward(dyhat, (x, w, b)) == {'w': dw, 'b': db}"
    assert [cell.code.partition("\n")[0] for cell in source.network] == [
        "import torch",
        "def init_parameters(generator):",
    ]
    assert "assert" not in text
    assert "`affine_backward`: its docstring: the question, and the shapes; whether `call` is right" in text
    assert "`affine_backward`: its docstring" in said
    assert "2 cells with tests were left out" in said
    assert [problem.partition("draft's ")[2] for problem in validate(tmp_path / "mine.md").problems] == [
        "`**TODO.** Delete this cell`.",
        "`TODO: the question, and the shapes`.",
    ]


def test_one_by_otter(tmp_path: Path) -> None:
    """Solutions without regions get one, prompts and tests go, and what is not there is drafted."""
    source, text = drafted(BY_OTTER, tmp_path)

    assert source is not None
    first, second = source.exercises
    assert (first.name, first.points) == ("grad_yhat", 3)
    assert "    ### BEGIN SOLUTION\n    n = len(y)\n    return 2 / n * (yhat - y)\n    ### END SOLUTION" in first.code
    assert (second.is_lines, second.targets) == (True, ("yhat",))
    assert not any(word in text for word in ("PROMPT", "assert", "grader.check", "QUESTION", "CONFIG"))
    assert [cell.code.partition("\n")[0] for cell in source.network] == [
        "import torch",
        "def init_parameters(generator):",
    ]
    assert "The network: write `init_parameters` and `forward`." in text


def test_one_that_a_course_has_made_itself(tmp_path: Path) -> None:
    """Each blank has a stub, and each function says how it is probably called."""
    _, text = drafted(PLAIN, tmp_path)

    assert text.count(STUB) == 4
    assert "call: softmax_loss(x, y) == (loss, dx)" in text
    assert "call: linear_backward(dZ, (A, W, b)) == (dA, dW, db)" in text
    assert "- `grad_b`: its points; its solution." in text
    assert (
        "- `Layer`: its points; its docstring: the question, and the shapes; `call`, which says how an object" in text
    )
    assert "YOUR CODE" not in text.replace("Write your code", "")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drafted(PLAIN, tmp_path)
    (tmp_path / "mine.md").write_text("mine")
    for path in ("course.ipynb", "missing.ipynb"):
        capsys.readouterr()

        code = main(["new", "mine", "--solutions", str(tmp_path), "--from-notebook", str(tmp_path / path)])

        assert (code, capsys.readouterr().err.count("There is already a file")) == (2, 1)
        assert (tmp_path / "mine.md").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"cells": 3}'])
def test_what_is_no_notebook_is_said(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ipynb").write_bytes(content)

    assert main(["new", "mine", "--solutions", str(tmp_path), "--from-notebook", str(tmp_path / "a.ipynb")]) == 2
    assert "cannot be read as a notebook" in capsys.readouterr().err
    assert not (tmp_path / "mine.md").exists()


@pytest.mark.parametrize(
    "blank",
    [
        "# YOUR CODE HERE\n    raise NotImplementedError()",
        "# your code here\n    pass",
        "# TODO: Your code here\n    ...",
        "# INSERT CODE HERE",
        "### START CODE HERE ### (≈ 3 lines)\n    dw = None\n    ### END CODE HERE ###",
        "# YOUR CODE STARTS HERE\n\n    # YOUR CODE ENDS HERE",
        "############\n    # TODO: Implement the backward pass\n    ############\n    pass",
        "### BEGIN SOLUTION\n    ### END SOLUTION",
        'raise NotImplementedError("Need to implement for Task 0.1")',
    ],
)
def test_a_blank_in_the_words_of_a_course(blank: str) -> None:
    code = with_regions(f"def f(x):\n    {blank}\n    return x")

    code = code.replace("    dw = None\n", "")  # it shows which names are wanted, and stays
    assert f"    ### BEGIN SOLUTION\n    {STUB}\n    ### END SOLUTION\n    return x" in code


@pytest.mark.parametrize("code", ["x = 1", "# The code of the network\nx = 1", "# todos elsewhere\nx = None"])
def test_other_code_stays(code: str) -> None:
    assert with_regions(code) == code


def settings_of(cells: list[NotebookNode], folder: Path) -> tuple[dict[str, Any], str]:
    """The settings of the draft of a notebook, and its text."""
    _, text = drafted(cells, folder)
    settings: dict[str, Any] = yaml.safe_load(text.split("---")[1])["grader"]
    return settings, text


BLANK = CODE('def grad_b(dz):\n    """The gradient of b."""\n    # YOUR CODE HERE\n    return dz.sum(0)')


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Regression\n\n## First", "Regression"),
        ("Some words.\n\n### Lab 7: pooling ###\n# Later", "Lab 7: pooling"),
        ("Homework\n========\n\n# Later", "Homework"),
        ('<h1 align="center">Week <b>4</b></h1>\n\n## Later', "Week 4"),
        ("```\n# a comment\n```\n## Lab", "Lab"),
        ("No heading, #1 of many.", "course"),
    ],
)
def test_its_title_is_the_first_heading_of_a_text(tmp_path: Path, text: str, title: str) -> None:
    """Of any level; a comment in code is none. Without one, it is the name of the file."""
    settings, _ = settings_of([CODE("# set things up\nimport torch"), TEXT(text), BLANK], tmp_path)

    assert settings["title"] == title


NUMPY = CODE('def grad_b(dz):\n    """The gradient."""\n    # YOUR CODE HERE\n    return np.sum(dz, 0)')
TORCH = CODE('def grad_c(dz):\n    """The gradient."""\n    # YOUR CODE HERE\n    return torch.sum(dz, 0)')


@pytest.mark.parametrize(
    ("cells", "arrays", "is_asked"),
    [
        ([CODE("import numpy as np"), NUMPY], "numpy", False),
        ([CODE("import numpy as np\nimport torch"), NUMPY], "numpy", False),
        ([CODE("import numpy as np\nimport torch"), TORCH], None, False),
        ([CODE("import numpy as np\nimport torch"), NUMPY, TORCH], None, True),
        ([CODE("import numpy as np"), BLANK], "numpy", False),
        ([CODE("import numpy as np\nimport torch"), BLANK], None, False),
    ],
)
def test_a_notebook_in_numpy_says_so(
    tmp_path: Path, cells: list[NotebookNode], arrays: str | None, is_asked: bool
) -> None:
    settings, text = settings_of(cells, tmp_path)

    assert settings.get("arrays") == arrays
    assert ("set `arrays: numpy` where it is numpy" in text) == is_asked


@pytest.mark.parametrize(
    ("code", "network", "others"),
    [
        ("import numpy as np\n%matplotlib inline\nnp.random.seed(1)", "import numpy as np", "np.random.seed(1)"),
        ("import torch\ntorch.manual_seed(0)\nB = 3", "import torch", "torch.manual_seed(0)\nB = 3"),
        ("B = 3\nfrom math import (\n    pi,\n    e,\n)", "from math import (\n    pi,\n    e,\n)", "B = 3"),
        ("# what we need\nimport torch", "# what we need\nimport torch", ""),
        ("import torch\n\n!pip install x", "import torch", "!pip install x"),
        ("x = 3", "", "x = 3"),
    ],
)
def test_imports_are_the_network_s_and_seeds_and_magics_are_not(
    tmp_path: Path, code: str, network: str, others: str
) -> None:
    source, text = drafted([CODE(code), BLANK], tmp_path)

    assert source is not None
    assert (source.network[0].code if len(source.network) == 2 else "") == network
    assert others in text
    assert not any(others in cell.code for cell in source.network if others)


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("grads = {'dw': dw, 'b': db}\n    return grads", "f(dz, cache) == {'dw': dw, 'b': db}"),
        ("(a, (w, b)) = cache\n    return dw", "f(dz, (a, (w, b))) == dw"),
        ("lin, z = cache\n    x, w = lin\n    return dw", "f(dz, ((x, w), z)) == dw"),
        ("w = cache['w']\n    b = cache['b']\n    return dw", "f(dz, {'w': w, 'b': b}) == dw"),
        ("w, b = cache['w'], cache['b']\n    return dw, db", "f(dz, {'w': w, 'b': b}) == (dw, db)"),
        ("dx, x = None, cache\n    return dx", "f(dz, x) == dx"),
        ("out = 3\n    cache = (x, w)\n    return out, cache", "f(dz, cache) == (out, (x, w))"),
        ("grads = {}\n    grads['w'] = 1\n    return loss, grads", "f(dz, cache) == (loss, {'w': dw})"),
    ],
)
def test_a_call_is_guessed(tmp_path: Path, code: str, call: str) -> None:
    """From what takes an argument apart, and from what is returned."""
    cell = CODE(f'def f(dz, cache):\n    """What is asked."""\n    {code}\n    # YOUR CODE HERE')

    source, _ = drafted([cell], tmp_path)

    assert source is not None
    assert source.exercises[0].equation == call


@pytest.mark.parametrize(
    ("docstring", "call"),
    [
        ("Returns a tuple (dZ, dgamma, dbeta).", "f(dz, (w, b)) == (dZ, dgamma, dbeta)"),
        ("Returns:\n    - dw: gradient of w\n    - db: of b", "f(dz, (w, b)) == (dw, db)"),
        ("Returns dx.", "f(dz, (w, b)) == dx"),
        ("Returns the derivative, a dictionary of data.", ""),
        ("Nothing about dw.", ""),
    ],
)
def test_a_blank_s_docstring_says_what_it_returns(docstring: str, call: str) -> None:
    cell = CODE(f'def f(dz, cache):\n    """{docstring}"""\n    w, b = cache\n    # YOUR CODE HERE\n    pass')

    text, _ = draft_from(nbformat.v4.new_notebook(cells=[cell]), "mine", hidden_seed=1)

    assert (f"call: {call}" if call else "probably `f(dz, (w, b)) == …`") in text


def test_what_its_author_has_to_know_is_listed() -> None:
    """A second blank in a cell, code below a blank, variables of other cells, files, other data, marks in the text."""
    cells = [
        TEXT("# Lab\n\nChange only what is between START CODE HERE and END CODE HERE."),
        CODE("lines = open('data/names.txt').read()\nwxh = 3\nchars = {}"),
        CODE("def f(dz):\n    # YOUR CODE HERE\n    dx = 3 * dz * wxh\n    return dx"),
        CODE(
            "class A:\n    def f(self):\n        # YOUR CODE HERE\n        pass\n\n"
            "class B:\n    def f(self):\n        # YOUR CODE HERE\n        pass\n"
        ),
    ]

    _, todos = draft_from(nbformat.v4.new_notebook(cells=cells), "mine", hidden_seed=1)

    said = "\n".join(todos)
    assert "whether `dx = 3 * dz * wxh` and what follows is its solution: then move it into the region above" in said
    assert "`B` in its cell, which has a blank, too, and is not graded: give it a cell of its own" in said
    assert "`f` reads `wxh` of other cells: make parameters of weights, and put constants into" in said
    assert "It reads files (`data/names.txt`): put them into a folder beside this one" in said
    assert "It does not speak of MNIST: make its inputs in `make_inputs`" in said
    assert "The text speaks of `START CODE HERE`, which students no longer see" in said


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("x = np.load('a.npy')\nwith open('b.txt') as f:\n    y = f.read()", "`a.npy`, `b.txt`"),
        ("%matplotlib inline\nDATA = Path('data')\nx = (DATA / 'x.csv').read_text()", "`data/x.csv`"),
        ("path = os.path.join('data', 'x.csv')\npd.read_csv(path)\npd.read_csv(path)", "`data/x.csv`"),
        ("for part in ['train', 'test']:\n    h5py.File(f'{part}.h5', 'r')", "`train.h5`, `test.h5`"),
        ("def load(name):\n    return torch.load('models/' + name)", "`models/…`"),
        ("x = open(sys.argv[1])", ""),
        ("a = a + a\nx = open(a)\ny = open('b`\\n\\n```{code-cell}')", ""),
        ("\n".join(f"np.loadtxt('{number}.txt')" for number in range(10)), "`6.txt`, `7.txt`, 2 more"),
        ("json.dump(x, open('out.json', 'w'))\n(folder / 'log').open(mode='a')\njson.load(f)", None),
    ],
)
def test_files_that_a_notebook_reads_are_named(code: str, named: str | None) -> None:
    """As far as literals show which ones; not those that it writes."""
    _, todos = draft_from(nbformat.v4.new_notebook(cells=[CODE(code)]), "mine", hidden_seed=1)

    said = [todo for todo in todos if todo.startswith("It reads files")]
    assert len(said) == (named is not None)
    if named:
        assert f"{named}): put them into a folder beside this one" in said[0]
    elif said:
        assert said[0].startswith("It reads files: put them into a folder")


def test_paths_that_depend_on_many_others_take_no_time() -> None:
    """However often one would have to be written out."""
    code = "v0 = 'x'\n" + "\n".join(f"v{n} = v{n - 1} + v{n - 1}" for n in range(1, 60)) + "\nopen(v59)\nopen(v3)"
    began = time.perf_counter()

    _, todos = draft_from(nbformat.v4.new_notebook(cells=[CODE(code)]), "mine", hidden_seed=1)

    assert time.perf_counter() - began < 5
    assert any("It reads files (`xxxxxxxx`)" in todo for todo in todos)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("Fill in the code between the START and END marks.", "START and END"),
        ("Write between `# START` and `# END`.", "START` and `# END"),
        ("Everything between <BEGIN/END> is yours.", "BEGIN/END"),
        ("Fill in what is between the start and end markers.", "start and end markers"),
        ("Write between the beginning and the end comments.", "beginning and the end comments"),
        ("Only change the parts marked YOUR CODE.", "YOUR CODE"),
        ("Write between BEGIN SOLUTION and END SOLUTION.", "BEGIN SOLUTION"),
        ("Look at the start and the end of the loop.", ""),
        ("Mark the start and end of each word. START with the loss.", ""),
        ("Your code will be fast at the end.", ""),
    ],
)
def test_marks_that_a_text_speaks_of(text: str, mark: str) -> None:
    """They are no longer there for students."""
    assert says_marks(text) == mark


def test_what_a_missing_solution_defines_is_no_variable_of_another_cell() -> None:
    """A test below has the results in variables of the same names; what the code reads otherwise is listed as ever."""
    cells = [
        CODE("def f(dout):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n    return dx, dw"),
        CODE("def g(dout):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n    return db @ wxh"),
        CODE("wxh = 3\ndx, dw = f(1)\ndb = g(1)"),
    ]

    _, todos = draft_from(nbformat.v4.new_notebook(cells=cells), "mine", hidden_seed=1)

    said = [todo.split(":")[0] for todo in todos if " reads " in todo]
    assert said == ["`g` reads `db`, `wxh` of other cells"]


def test_a_question_that_is_answered_in_words() -> None:
    """Its mark stays where it is, in the text; a text that speaks of marks in the code is listed as ever."""
    cells = [TEXT("**Question.** Why?\n\nYOUR ANSWER HERE"), TEXT("Write where it says `# YOUR CODE HERE`.")]

    _, todos = draft_from(nbformat.v4.new_notebook(cells=cells), "mine", hidden_seed=1)

    said = [todo for todo in todos if todo.startswith("The text ")]
    assert said[0].startswith("The text speaks of `YOUR CODE HERE`, which students no longer see")
    assert said[1:] == [
        "The text asks for an answer in words (`YOUR ANSWER HERE`). Students still see it; it is not graded."
    ]


def test_classes_and_calls_of_other_exercises_are_listed() -> None:
    """A class reads variables, too; and what is given, or is in the same exercise, costs nobody's points."""
    region = "    ### BEGIN SOLUTION\n    {}\n    ### END SOLUTION\n"
    cells = [
        CODE("REG = 0.1\nSIZE = 3"),
        CODE("def given(x):\n    return x"),
        CODE("def relu(x):\n" + region.format("return given(x)")),
        CODE("def helper(x):\n    return given(x)\ndef softmax(x):\n" + region.format("return helper(x)")),
        CODE(
            "class Net:\n    def set(self, SIZE):\n        self.n = SIZE\n    def loss(self, x):\n    "
            + region.format("    return REG * softmax(relu(helper(x)))").replace("\n    ###", "\n        ###")
        ),
    ]

    _, todos = draft_from(nbformat.v4.new_notebook(cells=cells), "mine", hidden_seed=1)

    said = [todo for todo in todos if " calls " in todo or " reads " in todo]
    assert [todo.split(":")[0] for todo in said] == [
        "`Net` reads `REG` of other cells",
        "`Net` calls `relu`, `softmax`",
    ]


@pytest.mark.parametrize(
    ("texts", "above"),
    [
        (["# Title", "## Affine layer"], 1),
        (["# Title", "## Part 1\n\nAll of it.", "### Affine layer", "Write it."], 1),
        (["# Title", "## Setup", "# Layers", "## Affine"], 2),
        (["Hello", "Title\n=====", "Affine\n------"], 2),
        (["<h1>Title</h1>", "<h2>Affine</h2>"], 1),
        (["## Title", "Write it."], 2),
        (["Write it."], 1),
    ],
)
def test_the_network_stands_before_the_section_of_the_first_exercise(texts: list[str], above: int) -> None:
    """Not below that section's heading; the title is none."""
    cells = [*map(TEXT, texts), CODE("def grad_b(dz):\n    # YOUR CODE HERE\n    pass")]

    text, _ = draft_from(nbformat.v4.new_notebook(cells=cells), "mine", hidden_seed=1)

    made = jupytext.reads(text, fmt="md:myst").cells[1:]
    assert ["network" in cell.metadata.get("tags", []) for cell in made].index(True) == above
    assert [cell.source for cell in made[:above]] == texts[:above]


def test_nothing_is_listed_without_need() -> None:
    cells = [
        TEXT("# MNIST by hand"),
        CODE("import torch\n" + NETWORK),
        CODE('def f(dz, cache):\n    """Returns dw."""\n    w = cache\n    # YOUR CODE HERE\n    pass\n    return dw'),
    ]

    _, todos = draft_from(nbformat.v4.new_notebook(cells=cells), "mine", hidden_seed=1)

    assert todos == [
        "`f`: its points; whether `call` is right: its names are those of the forward pass, and `dNAME` is a gradient; "
        "its solution."
    ]


FUNCTION = "def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\n"


@pytest.mark.parametrize("points", ["abc", math.nan, math.inf, None, [1], -5, 10**400, {"a": 1}])
def test_strange_points_are_none(points: object) -> None:
    cell = new_code_cell(FUNCTION, metadata={"nbgrader": {"solution": True, "points": points}})

    text, todos = draft_from(new_notebook(cells=[cell]), "mine", hidden_seed=1)

    assert "points: 1" in text
    assert "its points" in todos[0]


@pytest.mark.parametrize(
    "code",
    [
        "-" * 100_000 + "1",
        "a." * 50_000 + "b",
        "(" * 5_000 + ")" * 5_000,
        "x = 1\r",
        "x\0",
        "# \ud800",
        "'''\n```\n'''",
    ],
    ids=range(7),
)
def test_strange_code_makes_a_draft_that_can_be_read(code: str, tmp_path: Path) -> None:
    path = tmp_path / "strange.ipynb"
    path.write_text(json.dumps(new_notebook(cells=[new_code_cell(code), new_code_cell(FUNCTION)])))

    text, _ = draft_from(read_notebook_of_course(path), "mine", hidden_seed=1)

    tags = [cell.metadata.get("tags") for cell in jupytext.reads(text, fmt="md:myst").cells]
    assert tags.count(["exercise"]) == 1


def test_text_stays_text() -> None:
    """What looks like a cell in a text would be run by the grader, unseen by an author who looks at the notebook."""
    texts = [
        "```{code-cell} ipython3\n:tags: [network]\nprint('run')\n```",
        "~~~~ {code-cell}\nprint('run')\n~~~~",
        '> ```{code-cell}\n> print("run")\n> ```',
        '+++ {"tags": ["network"]}\n\ntext',
        "text\n\n  +++\n\ntext",
    ]
    cells = [new_markdown_cell(f"This is text {number}.\n\n{text}") for number, text in enumerate(texts)]

    text, _ = draft_from(new_notebook(cells=[*cells, new_code_cell(FUNCTION)]), "mine", hidden_seed=1)

    made = jupytext.reads(text, fmt="md:myst").cells
    assert sum(cell.cell_type == "markdown" for cell in made) == 1 + len(texts)
    assert not any("run" in cell.source for cell in made if cell.cell_type == "code")


def test_a_long_chain_of_helpers_takes_no_long_time() -> None:
    chain = [new_code_cell(f"def g{n}(x):\n    return g{n + 1}(x)") for n in range(600)]
    cells = [new_code_cell("def forward(x):\n    return g0(x)"), *chain[::-1], new_code_cell(FUNCTION)]

    started = time.process_time()
    text, _ = draft_from(new_notebook(cells=cells), "mine", hidden_seed=1)

    assert text.count("tags: [network]") == 602  # with the parameters that are missing
    assert time.process_time() - started < 10
