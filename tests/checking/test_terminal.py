"""`grader check`, and `check` and `%%derive` in a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from grader.checking.terminal import check_notebook
from grader.cli import main
from grader.model import Limits
from grader.notebook.read import read_submission
from tests.conftest import ROOT, handed_in

WRONG = "# %%\ndef grad_w1(x, dz1):\n    return 2 * x.T @ dz1\n"
READS = """
# %%
def grad_w1(x, dz1):
    return (x.T @ dz1).sin() * z1.mean()

# %%
def grad_w2(a1, dyhat):
    return (a1.T @ dyhat).sin() * (z1.mean() if len(a1) < 0 else 1)
"""
DERIVED = """%%derive

def grad_b1(dz1):
    helper = dz1.sum(dim=0)
    raise ValueError("here")
"""


def written(path: Path, answers: str = "") -> str:
    nbformat.write(handed_in(answers), path)
    return str(path)


def test_a_right_notebook_gets_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", written(tmp_path / "right.ipynb")]) == 0

    out = capsys.readouterr().out
    assert "All 7 gradients are right." in out
    assert "With your gradients, the curve is the same." in out
    assert [path.name for path in tmp_path.iterdir()] == ["right.ipynb"]


def test_a_wrong_function_gets_exit_code_1_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is written and opened on request."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    assert main(["check", written(tmp_path / "wrong.ipynb", WRONG), "-o", str(tmp_path / "out"), "--open"]) == 1

    assert "✗ grad_w1: Wrong values" in capsys.readouterr().out
    assert opened == [(tmp_path / "out" / "wrong-check.html").as_uri()]
    page = (tmp_path / "out" / "wrong-check.html").read_text(encoding="utf-8")
    assert '<iframe sandbox="allow-same-origin" ' in page
    assert "wrong.ipynb: checked" in page
    assert "Your gradient and the reference" in page


def test_an_exception_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and message stand in the sentence, its place beside its line; a longer message is told in full."""
    answers = (
        "# %%\ndef grad_w1(x, dz1):\n    return nosuch(x.T) @ dz1\n"
        "# %%\ndef grad_w2(a1, dyhat):\n    raise ValueError('first\\nsecond')\n"
    )
    assert main(["check", written(tmp_path / "raises.ipynb", answers)]) == 1

    out = capsys.readouterr().out
    assert "grad_w1 raised NameError: name 'nosuch' is not defined." in out
    assert out.count("NameError") == out.count("is not defined") == 1
    assert out.count("line 2") == 2, "the place of each exception"
    assert "first second" in out.replace("\n", " ")


def test_reading_a_variable_of_the_notebook_is_reported_if_it_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not reported where the code names a variable and never reads it."""
    assert main(["check", written(tmp_path / "reads.ipynb", READS)]) == 1

    out = capsys.readouterr().out
    assert "grad_w1 reads z1" in out
    assert "grad_w2: Wrong values" in out
    assert "grad_w2 reads" not in out


def test_blanks_are_not_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ROOT / "assignments" / "embedding_rnn" / "embedding_rnn.ipynb")]) == 1

    out = capsys.readouterr().out
    assert "Still to do: grad_logits, grad_last" in out
    assert "Look again at" not in out


def test_a_file_that_is_not_a_notebook_gets_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "picture.ipynb"
    path.write_bytes(b"\x89PNG")

    assert main(["check", str(path)]) == 2
    assert main(["check", str(tmp_path / "nowhere.ipynb")]) == 2


def test_an_endless_loop_is_described_in_a_sentence(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "loop.ipynb", "# %%\ndef grad_b1(dz1):\n    while True:\n        pass\n"))

    checked = check_notebook(read_submission(path), Limits(cell_s=2.0))

    assert "Does one of your functions loop forever?" in checked.text
    assert not checked.page
    assert not checked.is_right


def test_a_page_that_a_notebook_forges_is_harmless(tmp_path: Path) -> None:
    """A notebook can forge its own result, but the grader embeds that in its page as text."""
    forged = "# %%\nimport grader.reports.html\ngrader.reports.html.render_html = lambda _: '\"><script>1</script>'\n"

    checked = check_notebook(read_submission(Path(written(tmp_path / "forged.ipynb", forged))))

    assert "<script>1" not in checked.page
    assert "&#34;&gt;&lt;script&gt;" in checked.page


def test_a_process_that_dies_is_described_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dies = "# %%\ndef grad_b1(dz1):\n    import os\n    os._exit(1)\n"

    assert main(["check", written(tmp_path / "dies.ipynb", dies)]) == 1

    assert "crashed or took too long while it ran In [" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")  # of the kernel that nbclient starts, about its transport
def test_check_and_derive_work_in_a_kernel(tmp_path: Path) -> None:
    """Output appears in the middle of a cell, errors name lines of the cell, and the magic works."""
    notebook = handed_in(WRONG)
    cells = ("check(grad_w1)\n1 + 1", "%load_ext grader", DERIVED, "check(grad_b1, grad_a1)")
    ran = [nbformat.v4.new_code_cell(cell) for cell in cells]
    notebook.cells += ran

    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}, allow_errors=True).execute()

    rich = [[output.data for output in cell.outputs if output.output_type == "display_data"] for cell in ran]
    assert [len(shown) for shown in rich] == [1, 0, 1, 2]
    assert "Wrong values" in rich[0][0]["text/html"]
    assert "✗ grad_w1: Wrong values" in rich[0][0]["text/plain"]
    assert ran[0].outputs[-1].data["text/plain"] == "2"
    for shown in (rich[2][0], rich[3][0]):
        assert points_at(shown) == f"In [{ran[2].execution_count}], line 5"
    assert "✓ grad_a1: Right" in rich[3][1]["text/plain"]


def points_at(shown: dict[str, Any]) -> str:
    assert shown["text/plain"].count("ValueError: here") == 1
    place = next(line for line in shown["text/plain"].split("\n") if line.endswith(", in grad_b1"))
    return place.removesuffix(", in grad_b1").strip()
