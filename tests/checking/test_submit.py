"""`check.submit()` in a real kernel: it finds its notebook, hands in what was saved, and shows how that goes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from grader.checking import here
from grader.checking.check import Check
from grader.checking.submitted import Row, Submitted
from grader.cli import main
from grader.errors import UsageError
from grader.portal.attempts import attempts_of
from grader.submitting.progress import progress_of
from grader.submitting.saved import UserPortal, save_portal
from tests.conftest import ROOT, handed_in, submission_of
from tests.served_portal import ServedPortal, served_portal

pytestmark = [
    pytest.mark.xdist_group("served portal"),
    pytest.mark.filterwarnings("ignore"),  # of jupyter_client, about its transport
]

WRONG = "# %%\ndef grad_w1(x, dz1):\n    return dz1.T @ x\n"
SUBMIT = "check.submit()"


@dataclasses.dataclass
class Lab:
    """A kernel as JupyterLab starts it for a notebook."""

    client: Any
    file: Path
    typed: str = ""

    def save(self, *cells: str, answers: str = "") -> list[str]:
        """Save the released notebook with these cells at its end. Returns the code of all cells."""
        node = handed_in(answers)
        node.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(node, self.file)
        return [cell.source for cell in node.cells if cell.cell_type == "code"]

    def run(self, code: str, during: Any = None) -> list[dict[str, Any]]:
        """Run a cell. Returns what it shows, one after the other."""
        shown: list[dict[str, Any]] = []

        def keep(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] in ("display_data", "update_display_data"):
                shown.append(content["data"])
            elif message["msg_type"] == "stream":
                shown.append({"text/plain": content["text"]})
            elif message["msg_type"] == "error":
                shown.append({"text/plain": f"raised {content['evalue']}"})
            if during is not None:
                during(content)

        self.client.execute_interactive(
            code,
            timeout=120,
            output_hook=keep,
            stdin_hook=lambda _: self.client.input(self.typed),
            store_history=True,
        )
        return shown

    def define(self, codes: list[str]) -> None:
        """Run the cells that define functions, and no plots."""
        for code in codes:
            if "def " in code or "check.assignment" in code or "import" in code:
                self.run(code)


@contextlib.contextmanager
def lab(folder: Path, **variables: str) -> Iterator[Lab]:
    file = folder / "ada.ipynb"
    environment = os.environ | {
        "JPY_SESSION_NAME": str(file),
        "XDG_CONFIG_HOME": str(folder / "settings"),
        "PYTHONPATH": str(ROOT),
    }
    manager, client = start_new_kernel(kernel_name="python3", env=environment | variables, cwd=str(folder))
    try:
        yield Lab(client, file)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPortal]:
    """A portal where nobody grades."""
    with served_portal(tmp_path_factory.mktemp("idle") / "course", grades=False) as served:
        yield served


def save_key(folder: Path, served: ServedPortal, monkeypatch: pytest.MonkeyPatch, student: str = "ada") -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "settings"))
    save_portal(UserPortal.of(served.address, served.key(student)))


def arrived(served: ServedPortal, student: str = "ada") -> int:
    with served.portal.begin() as connection:
        return len(attempts_of(connection, person=served.person(student).id))


@pytest.mark.slow
def test_a_notebook_hands_itself_in(
    graded_portal: ServedPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_key(tmp_path, graded_portal, monkeypatch, "eve")
    with lab(tmp_path) as student:
        student.define(student.save(SUBMIT, answers=WRONG))

        shown = student.run(SUBMIT)

    texts = [each["text/plain"] for each in shown]
    assert all(text.startswith("ada.ipynb is handed in as attempt 1 of two_layer_mse.") for text in texts)
    assert any("It waits in the queue" in text for text in texts)
    assert any("It is being graded." in text for text in texts)
    last = shown[-1]
    assert "✗ grad_w1: Wrong shape" in last["text/plain"]
    assert "8 of 10 points." in last["text/plain"]
    assert f'<a href="{graded_portal.address}/attempts/' in last["text/html"]
    assert '<span class="badge wrong">✗ Wrong shape</span>' in last["text/html"]


def test_a_notebook_that_was_not_saved_is_not_handed_in(
    idle: ServedPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_key(tmp_path, idle, monkeypatch)
    with lab(tmp_path) as student:
        student.define(student.save(SUBMIT))

        [missing_cell] = student.run(f"{SUBMIT}  # not in the file")
        student.run("def grad_w1(x, dz1):\n    return 2 * x.T @ dz1")
        [missing_function] = student.run(SUBMIT)
        before = arrived(idle)
        student.run("def grad_w1(x, dz1):\n    # the same, with a comment\n    return x.T @ dz1")
        student.save("def grad_w1(x, dz1):\n    return x.T @ dz1", SUBMIT)
        handed = student.run(SUBMIT, during=interrupt_when_queued(student))

    for shown, what in ((missing_cell, "this cell"), (missing_function, "grad_w1")):
        assert shown["text/plain"].startswith("Nothing was handed in.\n")
        assert f"does not contain {what} as it ran. Save the notebook first." in shown["text/plain"]
    assert before == 0
    assert arrived(idle) == 1
    assert "You stopped waiting. It is handed in all the same" in handed[-1]["text/plain"]


def interrupt_when_queued(student: Lab) -> Any:
    def look(content: dict[str, Any]) -> None:
        if "It waits in the queue" in content.get("data", {}).get("text/plain", ""):
            message = student.client.session.msg("interrupt_request", {})
            threading.Timer(0.5, student.client.control_channel.send, [message]).start()

    return look


def test_a_file_that_is_not_found_can_be_named(
    idle: ServedPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_key(tmp_path, idle, monkeypatch, "bob")
    with lab(tmp_path) as student:
        student.file.with_name("renamed.ipynb").write_text("{}")
        student.run("from grader import check")

        [gone] = student.run(SUBMIT)
        student.run("import os; del os.environ['JPY_SESSION_NAME']")
        [unknown] = student.run(SUBMIT)
        [no_notebook] = student.run("check.submit('renamed.ipynb')")
        student.run(f"__vsc_ipynb_file__ = {str(tmp_path / 'code.ipynb')!r}")
        [in_code] = student.run(SUBMIT)

    assert "began as ada.ipynb, and there is no such file any more" in gone["text/plain"]
    assert "cannot tell in which file this notebook is" in unknown["text/plain"]
    assert 'check.submit("my.ipynb")' in gone["text/plain"]
    assert "renamed.ipynb cannot be handed in." in no_notebook["text/plain"]
    assert "began as code.ipynb" in in_code["text/plain"]
    assert arrived(idle, "bob") == 0


def test_a_key_is_asked_for_in_the_notebook(idle: ServedPortal, tmp_path: Path) -> None:
    """Where there is no terminal. It stands neither in the notebook nor in what ran."""
    key = idle.key("bob")
    with lab(tmp_path) as student:
        student.run("from grader import check")
        student.typed = f" {key}\n"
        [saved] = student.run(f"check.portal({idle.address!r})")
        student.typed = "wrong"
        [refused] = student.run(f"check.portal({idle.address!r})")

    assert saved["text/plain"].startswith("The portal knows you as bob.")
    assert key not in saved["text/plain"]
    assert json.loads((tmp_path / "settings" / "grader" / "portal.json").read_text())["key"] == key
    assert "This is not a key of a portal." in refused["text/plain"]


def test_without_a_key_it_says_what_to_do(tmp_path: Path) -> None:
    with lab(tmp_path) as student:
        student.save(SUBMIT)
        student.run("from grader import check")
        [shown] = student.run(SUBMIT)

    assert "No key for handing in is saved on this machine. Make a key on the portal's home page" in shown["text/plain"]


def test_while_a_notebook_is_graded_or_checked_nothing_is_handed_in(
    idle: ServedPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even if the sandbox lets it see the key and the network."""
    save_key(tmp_path, idle, monkeypatch, "eve")
    notebook = tmp_path / "eve.ipynb"
    node = handed_in("")
    node.cells += [nbformat.v4.new_code_cell(cell) for cell in ("check.submit('eve.ipynb')", "check.submit_button()")]
    nbformat.write(node, notebook)
    before = arrived(idle, "eve")

    assert main(["check", str(notebook)]) == 0
    monkeypatch.setenv("GRADER_CHANNEL", "fd:0")
    began = time.monotonic()
    Check().submit(notebook)
    Check().submit_button(notebook)

    assert time.monotonic() - began < 1
    assert arrived(idle, "eve") == before
    assert capsys.readouterr().out.count("Nothing is handed in while a notebook is being graded or checked.\n") == 2


class Colab:
    """What Colab's kernel has in `google.colab._message`: the page's notebook."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def blocking_request(self, what: str, request: str, timeout_sec: float) -> Any:
        assert (what, request) == ("get_ipynb", "")
        return self.answer


@pytest.mark.parametrize(
    ("named", "name"),
    [("Kopie von ada.ipynb", "Kopie von ada.ipynb"), ("../ada", "ada.ipynb"), (None, "notebook.ipynb")],
)
def test_colab_says_what_is_on_the_page(monkeypatch: pytest.MonkeyPatch, named: str | None, name: str) -> None:
    content = json.loads(submission_of("a = 1").content)
    content["metadata"]["colab"] = {} if named is None else {"name": named}
    monkeypatch.setitem(here.sys.modules, "google.colab", object())
    monkeypatch.setitem(here.sys.modules, "google.colab._message", Colab({"ipynb": content}))

    found = here.this_notebook(None, {})

    assert (found.name, json.loads(found.content)) == (name, content)
    monkeypatch.setitem(here.sys.modules, "google.colab._message", Colab(None))
    with pytest.raises(UsageError, match="Colab does not say"):
        here.this_notebook(None, {})


def test_what_a_portal_says_is_escaped() -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    row = Row(kind="wrong", symbol="✗", name=hostile, verdict=hostile, message=hostile)
    shown = Submitted(kind="done", lead=hostile, rows=(row,), closing=hostile, page="https://a.example/attempts/1")

    html, text = shown._repr_html_(), repr(shown)

    assert "<script>" not in html
    assert "\x1b" not in html + text


def test_a_result_that_another_one_will_replace() -> None:
    """It is shown, and that it may change."""
    answer = {"id": 1, "number": 1, "state": "done", "status": "graded", "score": 9, "max_score": 10}
    progress = progress_of({**answer, "is_judged_again": True})
    assert progress is not None

    shown = Submitted.of(progress, "https://a.example/attempts/1", first=progress)

    assert shown.kind == "done"
    assert all("9 of 10 points. It is being judged again" in text for text in (shown._repr_html_(), repr(shown)))
