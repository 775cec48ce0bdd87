"""
What a header says starts nothing and opens nothing, whatever it says.

Headers are made from the grammar of YAML with every name of a format and every option that jupytext has. They are read
in a process of their own, in which Python reports each program that is started, each file that is opened, and each
socket that is made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jupytext import formats

from grader.notebook.read import Notebook, Unreadable, read_notebook
from tests.conftest import ROOT, raw_submission

READ = {".py": ("light", "percent", "hydrogen"), ".md": ("markdown", "myst")}
NAMES = sorted(
    {form.format_name for form in formats.JUPYTEXT_FORMATS} | {"bare", "Rmd", "qmd", "auto", "ipynb", "custom"}
)
EXTENSIONS = sorted(set(formats.NOTEBOOK_EXTENSIONS) | {".qmd", "pandoc", "md:pandoc", "auto"})
OPTIONS = sorted(
    formats.VALID_FORMAT_OPTIONS if hasattr(formats, "VALID_FORMAT_OPTIONS") else formats._VALID_FORMAT_OPTIONS
)
KEYS = [
    *OPTIONS,
    *("jupytext", "jupyter", "grader", "assignment", "version", "kernelspec", "language_info", "text_representation"),
    *("extension", "format_name", "format_version", "formats", "default_jupytext_formats", "root_dir", "config"),
    *("main_language", "encoding", "executable", "root_level_metadata", "pandoc", "quarto", "output", "cell_markers"),
    *("default_notebook_metadata_filter", "notebook_extensions", "custom_cell_magics", "name", "<<", "title", "---"),
]
CHILD = """
    import json, sys
    from grader.notebook.functions import find_functions
    from grader.notebook.read import Notebook, read_notebook
    from grader.model import Submission
    for name in ("a.py", "a.md"):  # all modules are loaded before anything counts
        find_functions(read_notebook(Submission.of(b"%time\\nx = 1", name=name, student="a")))
    WATCHED = ("open", "os.", "subprocess.", "socket.", "exec", "import", "pty.", "ctypes.", "shutil.", "glob.")
    seen, on = [], False
    def watch(event, arguments):
        if on and event.startswith(WATCHED) and arguments[:1] != ("/dev/null/cell",):  # which never is a file
            seen.append(f"{event} {str(arguments)[:200]}")
    sys.addaudithook(watch)
    results = []
    for name, text in json.load(sys.stdin):
        submission = Submission.of(text.encode("utf-8", "surrogatepass"), name=name, student="a")
        on = True
        notebook = read_notebook(submission)
        if isinstance(notebook, Notebook):
            find_functions(notebook)
        on = False
        results.append(notebook.problem if not isinstance(notebook, Notebook) else len(notebook.cells))
    json.dump({"seen": seen, "results": results}, sys.stdout)
"""


def in_a_child(files: list[tuple[str, str]], folder: Path) -> dict[str, list[object]]:
    """What a process that reads some files does besides, and what each of them is."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(CHILD)],
        input=json.dumps(files).encode(),
        capture_output=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr.decode()[-2000:]
    return dict(json.loads(ran.stdout))


SCALARS = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(EXTENSIONS),
    st.sampled_from(
        ["true", "null", "1", "1.3", "~", "-all", "+,-", "region,endregion", "(a+)+,b", "''", '""', "'a: b'"]
    ),
    st.sampled_from(
        ["!!python/object/apply:os.system [id]", "!a b", "&a b", "*a", "|\n      text", ">-\n      text", "a: b"]
    ),
    st.sampled_from(
        ["[a, b]", "{a: b}", "[&x [*x, *x], *x]", "[[[[[[", "{", "%TAG ! b", "@a", "`a`", "- a", "? a", "\t", "\0"]
    ),
    st.text(max_size=8),
)
BLOCKS = st.recursive(
    SCALARS,
    lambda inner: st.lists(st.tuples(st.sampled_from(KEYS), inner), min_size=1, max_size=4),
    max_leaves=12,
)
BODIES = {
    ".py": ["# %%\nx = 1\n", "# +\nx = 1\n# -\n", "def f():\n    return 1\n", "", "# %% [markdown]\n# ::: {.a}\n"],
    ".md": [
        "```python\nx = 1\n```\n",
        "```{code-cell}\nx = 1\n```\n",
        "::: {.cell}\n``` {.python}\n1\n```\n:::\n",
        "",
        "```{r}\n1\n```\n",
    ],
}


def block(value: object, indent: int) -> str:
    if not isinstance(value, list):
        return f" {value}\n"
    return "\n" + "".join(f"{' ' * indent}{key}:{block(inner, indent + 2)}" for key, inner in value)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str]:
    """A name and a text, with a header that often names a format where jupytext looks for it."""
    suffix = draw(st.sampled_from(sorted(READ)))
    representation = [("extension", draw(st.sampled_from(EXTENSIONS))), ("format_name", draw(st.sampled_from(NAMES)))]
    options = [
        ("text_representation", representation),
        *draw(st.lists(st.tuples(st.sampled_from(KEYS), BLOCKS), max_size=3)),
    ]
    root = [draw(st.sampled_from([("jupyter", [("jupytext", options)]), ("jupytext", options)]))]
    root += draw(st.lists(st.tuples(st.sampled_from(KEYS), BLOCKS), max_size=3))
    lines = ["---", *(block(root, 0).strip("\n").split("\n")), draw(st.sampled_from(["---", "---", "---", "...", ""]))]
    mark = "# " if suffix == ".py" else ""
    header = "".join(f"{mark}{line}\n" for line in lines)
    first = draw(st.sampled_from(["", "", "#!/bin/sh\n", "# -*- coding: utf-8 -*-\n", "<!--\n\n", "\n"]))
    return f"a{suffix}", first + header + draw(st.sampled_from(["", "\n", "-->\n"])) + draw(
        st.sampled_from(BODIES[suffix])
    )


@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(chosen=st.lists(files(), min_size=30, max_size=60))
def test_no_header_starts_or_opens_anything(
    chosen: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("headers")
    for name in ("jupytext.toml", "jupytext.yml", ".jupytext", "pyproject.toml"):
        (folder / name).write_text("formats = 'md:pandoc'\n")

    good = ("a.py", "# %%\nx = 1\n")
    found = in_a_child([*chosen, good], folder)

    assert not found["seen"]
    assert len(found["results"]) == len(chosen) + 1
    assert found["results"][-1] == 1


def test_the_child_would_notice(tmp_path: Path) -> None:
    """The test above can fail: a codec that is loaded for the first time is seen."""
    assert in_a_child([("a.py", "# coding: cp1140\nx = 1\n")], tmp_path)["seen"]


def written(suffix: str, header: str, body: str = "") -> str:
    mark = "# " if suffix == ".py" else ""
    return "".join(f"{mark}{line}\n" for line in ("---", *header.strip().split("\n"), "---")) + body


def read(text: str, suffix: str) -> Notebook | Unreadable:
    return read_notebook(raw_submission(text.encode(), name=f"a{suffix}"))


@pytest.mark.parametrize("suffix", sorted(READ))
@pytest.mark.parametrize("name", NAMES)
def test_only_formats_of_a_closed_set_are_read(name: str, suffix: str) -> None:
    """Every other name of jupytext's gets a sentence that says what to hand in."""
    header = f"jupyter:\n  jupytext:\n    text_representation:\n      extension: {suffix}\n      format_name: {name}"

    notebook = read(written(suffix, header, BODIES[suffix][0]), suffix)

    if name in READ[suffix]:
        assert isinstance(notebook, Notebook)
    else:
        assert isinstance(notebook, Unreadable)
        assert f"in the format {name!r}" in notebook.problem
        assert notebook.problem.endswith("Hand in the notebook itself, the .ipynb.")


@pytest.mark.parametrize("suffix", sorted(READ))
@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("jupyter:\n  a: &a [b]\n  c: *a", "an anchor, an alias or a tag"),
        ("jupyter: &a\n  b: c", "an anchor, an alias or a tag"),
        ("jupyter:\n  a: !!python/name:os.system ''", "an anchor, an alias or a tag"),
        ("jupyter:\n  a: !b c", "an anchor, an alias or a tag"),
        ("jupyter:\n" + "".join(f"  a{i}: 1\n" for i in range(600)), "too many parts"),
        ("jupyter:\n" + "".join("  " * i + "a:\n" for i in range(1, 20)), "too many parts"),
        ("jupyter:\n  a: " + "[" * 200, "too many brackets"),
        ("jupyter:\n  a: [", "it is not YAML"),
        ("jupyter:\n  a: b: c", "it is not YAML"),
        ("jupyter:\n  a: " + "b" * 40_000, "longer than 32 KiB"),
    ],
)
def test_a_header_that_is_more_than_words_gets_a_sentence(header: str, says: str, suffix: str) -> None:
    notebook = read(written(suffix, header, BODIES[suffix][0]), suffix)

    assert isinstance(notebook, Unreadable)
    assert says in notebook.problem


@pytest.mark.parametrize("suffix", sorted(READ))
@pytest.mark.parametrize(
    "header",
    [
        "Homework 1: gradients: part 2",
        "title: &a [*a]\njupyter:\n  jupytext:\n    formats: ipynb,md:pandoc",
        "jupyter:\n  jupytext:\n    cell_markers: '(a+)+$,b'\n    root_dir: /etc\n    split_at_heading: true",
        "jupyter: null",
        "jupyter: [a]",
        "jupytext: jupyter",
        "jupyter:\n  jupytext: {text_representation: [format_name, pandoc]}",
        "grader: {assignment: [two], version: {a: b}}",
    ],
)
def test_what_a_header_says_besides_is_not_looked_at(header: str, suffix: str) -> None:
    notebook = read(written(suffix, header, BODIES[suffix][0]), suffix)

    assert isinstance(notebook, Notebook)
    assert "x = 1" in notebook.cells[-1].code
    assert notebook.assignment_id is None


def test_a_notebook_of_marimo_gets_a_sentence() -> None:
    text = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    x = 1\n    return (x,)\n"

    notebook = read(text, ".py")

    assert isinstance(notebook, Unreadable)
    assert "marimo export ipynb" in notebook.problem
