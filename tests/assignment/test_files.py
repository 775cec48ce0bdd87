"""A folder of data travels with a notebook: to students, into the sandbox, and to every place where its code runs."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import nbformat
import pytest

from grader.assignment import files as travelling
from grader.assignment.files import read_files
from grader.assignment.load import load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook, write_release
from grader.classroom.keys import Basis
from grader.classroom.tasks import SourceFile
from grader.cli import main
from grader.errors import SourceError
from grader.gradescope.package import build_zip
from grader.model import Submission
from grader.pipeline import grade
from grader.reports.html import render_html

HEADER = """---
jupytext:
  formats: ipynb,md:myst
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
grader: {assignment: bigram, hidden_seed: 7, files: data}
---
"""
SOURCE = (
    HEADER
    + '''
# Bigrams

```{code-cell}
:tags: [network]

from pathlib import Path
import torch

words = Path("data/names.txt").read_text().split()
pairs = torch.tensor([[ord(a) - 96, ord(b) - 96] for word in words for a, b in zip(word, word[1:])])

def make_inputs(images, labels, generator):
    rows = pairs[torch.randint(len(pairs), (len(images),), generator=generator)]
    return {"x": rows[:, 0], "y": rows[:, 1]}

def init_parameters(generator):
    return {"w": torch.randn(27, 27, generator=generator)}

def forward(x, y, w):
    logits = w[x]
    logp = torch.log_softmax(logits, 1)
    loss = -logp[torch.arange(len(y)), y].mean()
    return {"logits": logits, "logp": logp, "loss": loss}
```

```{code-cell}
:tags: [exercise]

def grad_logits(logp, y):
    """The gradient of logits, (N, 27)."""
    ### BEGIN SOLUTION
    d = logp.exp()
    d[torch.arange(len(y)), y] -= 1
    return d / len(y)
    ### END SOLUTION
```
'''
)
MORE = "0123456789" * 150_000  # it takes more than one message
ANSWER = """
def grad_logits(logp, y):
    assert len(Path("data/deep/more.txt").read_bytes()) == 1_500_000
    d = logp.exp()
    d[torch.arange(len(y)), y] -= 1
    return d / len(y)

# %%
assert sorted(map(str, __import__("pathlib").Path().rglob("*.*"))) == ["data/deep/more.txt", "data/names.txt"]
Path("data/names.txt").write_text("a copy may be changed")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "solutions"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "data" / "names.txt").write_text("emma\nolivia\nava\n")
    (folder / "data" / "deep" / "more.txt").write_text(MORE)
    (folder / "data" / ".git").mkdir()
    (folder / "data" / ".git" / "index").write_text("hidden")
    (folder / "bigram.md").write_text(SOURCE)
    return folder / "bigram.md"


def handed_in(source: Path) -> Submission:
    notebook = fill_blanks(release_notebook(read_source(source)), ANSWER)
    return Submission.of(nbformat.writes(notebook).encode(), name="a.ipynb", student="a")


def test_it_is_in_the_folder_of_a_notebook_that_is_graded(source: Path) -> None:
    """It has the files and nothing else, also when functions are called. The author's own stay as they are."""
    before = (source.parent / "data" / "names.txt").read_bytes()
    here = Path.cwd()

    report = grade(handed_in(source), load_assignment(source), secrets=[source.parent])

    assert report.notebook.first_error is None
    assert report.score == report.max_score == 1
    assert (source.parent / "data" / "names.txt").read_bytes() == before
    assert Path.cwd() == here


def test_it_is_released_with_the_notebook(source: Path, tmp_path: Path) -> None:
    """`--check` looks at it, too; a released folder is a source in turn; and the first cell says if it is missing."""
    released = tmp_path / "assignments"
    arguments = ["release", "--solutions", str(source.parent), "-o", str(released)]

    paths = write_release(read_source(source), released)

    assert [str(path.relative_to(released / "bigram")) for path in paths] == [
        *("bigram.ipynb", "bigram.md", "data/deep/more.txt", "data/names.txt")
    ]
    assert load_assignment(released / "bigram" / "bigram.md", public=True).files == read_source(source).files
    assert main([*arguments, "--check"]) == 0
    (released / "bigram" / "data" / "names.txt").write_text("other")
    assert main([*arguments, "--check"]) == 1
    assert "Put the folder data, which came with this notebook, beside it" in paths[0].read_text(encoding="utf-8")


def test_it_is_in_the_zip_for_gradescope(source: Path) -> None:
    options = {"hidden_seed": None, "level": "none"}
    with zipfile.ZipFile(io.BytesIO(build_zip("bigram", source.parent, options))) as packed:
        names = [name for name in packed.namelist() if name.startswith("solutions/")]

    assert names == ["solutions/bigram.md", "solutions/data/deep/more.txt", "solutions/data/names.txt"]


def test_a_worker_on_another_machine_has_it(source: Path) -> None:
    """It travels with the source: nothing is read from a disk."""
    file = SourceFile("/nowhere/bigram.md", source.read_bytes(), read_source(source).files)

    assert file.load(None).files.keys() == {"data/deep/more.txt", "data/names.txt"}


def test_other_data_make_another_version(source: Path) -> None:
    """Results are not taken for those with the data of before, not even in one process."""
    first = load_assignment(source)
    (source.parent / "data" / "names.txt").write_text("emma\nolivia\n")
    second = load_assignment(source)

    assert len(first.namespace["words"]) > len(second.namespace["words"])
    assert first.version != second.version
    assert Basis.of(first).execution != Basis.of(second).execution


def test_a_students_own_check_finds_it(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`grader check` runs the notebook with the folder beside it."""
    write_release(read_source(source), tmp_path)
    (tmp_path / "bigram" / "a.ipynb").write_bytes(handed_in(source).content)

    main(["check", str(tmp_path / "bigram" / "a.ipynb")])

    assert "✓ grad_logits" in capsys.readouterr().out


# ----------------------------------------------------------------------------------------------------- what may travel


def test_hidden_files_stay(source: Path) -> None:
    assert read_files(source.parent / "data").keys() == {"data/names.txt", "data/deep/more.txt"}


def test_links_stay(source: Path) -> None:
    """Neither a link in the folder nor one to it: it might lead to anything."""
    (source.parent / "data" / "deep" / "link.txt").symlink_to(source)
    (source.parent / "other").symlink_to(source.parent)

    with pytest.raises(SourceError, match=r"link\.txt is not a file\. Put a copy there instead"):
        read_source(source)
    with pytest.raises(SourceError, match="There is no folder"):
        read_files(source.parent / "other")


def test_solutions_stay(source: Path) -> None:
    """A folder with a source notebook in it is refused, and so is the folder of the notebook itself."""
    (source.parent / "data" / "deep" / "mine.md").write_text(SOURCE)

    with pytest.raises(SourceError, match=r", line \d+: there is a solution region in .*mine\.md"):
        read_source(source)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"cells": [{"source": ["def f():\n", "    ### BEGIN SOLUTION\n"]}]}).encode(),
        SOURCE.encode("utf-16"),
        SOURCE.replace("\n", "\r").encode(),
        b"x = 1  # BEGIN SOLUTION\n",
    ],
)
def test_solutions_stay_in_other_forms(source: Path, content: bytes) -> None:
    """A notebook as JSON, another encoding, another tool."""
    (source.parent / "data" / "more").write_bytes(content)

    with pytest.raises(SourceError, match=r"here is a solution region in .*more"):
        read_source(source)


@pytest.mark.parametrize("content", [b"the solution begins", b"BEGIN SOLUTIONS", b"\x00\xff# begin"])
def test_other_words_travel(source: Path, content: bytes) -> None:
    (source.parent / "data" / "more").write_bytes(content)

    assert read_source(source).files["data/more"] == content


@pytest.mark.parametrize("name", [".", "..", "../other", "/etc", "a/b", "a~", ".git", "''", "1.5"])
def test_it_is_the_name_of_a_folder_beside_the_notebook(source: Path, name: str) -> None:
    source.write_text(SOURCE.replace("files: data", f"files: {name}"))

    with pytest.raises(SourceError, match="It must be the name of a folder beside the notebook, such as data"):
        read_source(source)


def test_a_folder_that_is_missing_is_named(source: Path) -> None:
    source.write_text(SOURCE.replace("files: data", "files: words"))

    with pytest.raises(SourceError, match=r", line \d+: there is no folder .*words\. Put it beside the notebook"):
        read_source(source)


def test_its_size_is_limited(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(travelling, "MOST_FILES", 2)
    read_source(source)
    monkeypatch.setattr(travelling, "MOST_FILES", 1)
    with pytest.raises(SourceError, match="too many or too large"):
        read_source(source)
    monkeypatch.setattr(travelling, "MOST_FILES", 2)
    monkeypatch.setattr(travelling, "MOST_BYTES", 1000)
    with pytest.raises(SourceError, match="too many or too large"):
        read_source(source)


# ------------------------------------------------------------------------------------------- what the data is called


def wrong(source: Path) -> tuple[str, str]:
    """The page and the first observation about an answer without 1/N."""
    notebook = fill_blanks(release_notebook(read_source(source)), ANSWER.replace("d / len(y)", "d"))
    submission = Submission.of(nbformat.writes(notebook).encode(), name="a.ipynb", student="a")
    report = grade(submission, load_assignment(source))
    return render_html(report), report.exercises[0].diagnoses[0].message


def test_reports_call_the_data_what_its_author_calls_it(source: Path) -> None:
    source.write_text(SOURCE.replace("files: data", "files: data, data: {name: names.txt, rows: words}"))

    page, observed = wrong(source)

    assert observed.endswith("N is the number of words in the batch: 64 in the public one.")
    assert "The public batch of names.txt." in page
    assert "Other words, in a batch of another size" in page
    codes = [cell.source for cell in release_notebook(read_source(source)).cells]
    assert any("data={'name': 'names.txt', 'rows': 'words'}" in code for code in codes)


def test_without_a_name_it_is_mnist(source: Path) -> None:
    page, observed = wrong(source)

    assert observed.endswith("N is the number of rows in the batch: 64 in the public one.")
    assert "The public batch of MNIST digits." in page
    assert "Other digits, in a batch of another size" in page


@pytest.mark.parametrize("value", ["words", "{}", "{row: word}", "{rows: 3}", "{name: ''}", f"{{name: {'x' * 61}}}"])
def test_what_it_is_called_is_short(source: Path, value: str) -> None:
    source.write_text(SOURCE.replace("files: data", f"data: {value}"))

    with pytest.raises(SourceError, match=r"It must be names such as \{name: names\.txt, rows: words\}, short"):
        read_source(source)
