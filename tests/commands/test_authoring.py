"""The commands of an author: `grader new`, `grader release --watch`, `grader validate`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from grader.assignment.load import load_assignment
from grader.assignment.source import read_source
from grader.cli import main


def test_a_new_assignment_is_sound_and_can_be_released(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solutions, page = tmp_path / "solutions", tmp_path / "sound.html"

    assert main(["new", "my_network", "--solutions", str(solutions)]) == 0
    assert main(["validate", "--solutions", str(solutions), "--html", str(page)]) == 0
    assert main(["release", "--solutions", str(solutions), "-o", str(tmp_path / "out")]) == 0

    assert "my_network is sound" in capsys.readouterr().out
    shown = page.read_text(encoding="utf-8")
    assert "✓ Sound" in shown
    assert "<code>grad_w</code>" in shown
    released = nbformat.read(tmp_path / "out" / "my_network" / "my_network.ipynb", as_version=4)
    assert sum("is still blank" in cell.source for cell in released.cells) == 1
    assert "grad_w(x, yhat, y) -> w" in "".join(cell.source for cell in released.cells)


def test_two_new_assignments_have_different_hidden_seeds(tmp_path: Path) -> None:
    for name in ("one", "two"):
        main(["new", name, "--solutions", str(tmp_path)])

    assert len({load_assignment(tmp_path / f"{name}.md").hidden_seed for name in ("one", "two")}) == 2
    assert read_source(tmp_path / "one.md").title == "One"


@pytest.mark.parametrize("name", ["My_network", "my-network", "3d", "../up", "número", ""])
def test_an_invalid_id_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", name, "--solutions", str(tmp_path)]) == 2

    assert "is not a valid id" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_new_takes_no_name_of_an_assignment_that_comes_with_the_grader(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder with another one of that name, students' notebooks would be graded by it."""
    assert main(["new", "two_layer_mse", "--solutions", str(tmp_path)]) == 2
    assert "comes with the grader" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_new_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.md").write_text("precious")

    assert main(["new", "mine", "--solutions", str(tmp_path)]) == 2

    assert (tmp_path / "mine.md").read_text() == "precious"
    assert "already" in capsys.readouterr().err


def test_the_page_lists_survivors(tmp_path: Path) -> None:
    """A hole is listed with its reason, and the exit code is 1."""
    main(["new", "mine", "--solutions", str(tmp_path)])
    path = tmp_path / "mine.md"
    text = path.read_text(encoding="utf-8")
    text = text.replace("yhat = x @ w", "yhat = (x @ w).abs()")
    text = text.replace(
        "    return 2 * x.T @ (yhat - y) / len(y)", "    return 2 * x.T @ ((yhat - y) * (x @ w).sign()) / len(y)"
    )
    text = text.replace("def grad_w(x, yhat, y):", "def grad_w(x, yhat, y, w):")
    text = text.replace(
        '"w": 0.01 * torch.randn(784, 1, generator=generator)', '"w": 0.01 * torch.rand(784, 1, generator=generator)'
    )
    path.write_text(text, encoding="utf-8")

    assert main(["validate", "--solutions", str(tmp_path), "--html", str(tmp_path / "page.html")]) == 1

    shown = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<summary>Survivors that are holes in the cases (" in shown
    assert "<code>grad_w: return 2 * x.T @ ((yhat - y) * (x @ w).sign()) / len(y) → return 2 * x.T" in shown


def test_release_can_watch_for_changes(tmp_path: Path) -> None:
    """It releases, waits for a save, reports what is wrong, goes on, and stops at Ctrl-C."""
    main(["new", "mine", "--solutions", str(tmp_path)])
    source, released = tmp_path / "mine.md", tmp_path / "out" / "mine" / "mine.md"
    text = source.read_text(encoding="utf-8")
    folders = ["--solutions", str(tmp_path), "-o", str(tmp_path / "out")]
    command = [sys.executable, "-m", "grader", "release", "--watch", *folders]
    log = tmp_path / "log"

    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as watching:
        try:
            wait_until(lambda: "Ctrl-C" in log.read_text())
            source.write_text(text.replace("### END SOLUTION", ""), encoding="utf-8")
            wait_until(lambda: "mine.md, cell 8, line" in log.read_text())
            source.write_text(text.replace("What students derive here", "All of it"), encoding="utf-8")
            wait_until(lambda: "All of it" in released.read_text(encoding="utf-8"))
        finally:
            watching.send_signal(signal.SIGINT)
            watching.wait(timeout=20)

    assert watching.returncode == 0
    assert "Traceback" not in log.read_text()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
