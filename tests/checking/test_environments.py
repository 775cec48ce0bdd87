"""A check works wherever students do: behind sanitisers, without a notebook, without Unix, in a busy process."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys

import nbformat
import nh3
import pytest
from nbclient import NotebookClient

from grader.checking.check import Checked, check
from tests.checking.test_check import notebook_of
from tests.conftest import handed_in

WRONG = (
    "# %%\ndef grad_w1(x, dz1):\n    return 2 * x.T @ dz1\n\n"
    "# %%\ndef grad_b1(dz1):\n    return dz1.sum()\n\n"
    "# %%\ndef grad_w2(a1, dyhat):\n    raise ValueError('not <yet>')\n"
)
# The tags and schemes that JupyterLab, nbconvert and GitHub all keep, or fewer.
TAGS = {"blockquote", "code", "div", "em", "h4", "img", "li", "ol", "p", "pre", "span", "strong"}
TAGS |= {"table", "tbody", "td", "th", "thead", "tr"}
SPOKEN = re.compile(r"<(p|td|th|li|pre|h4)\b[^>]*>(.*?)</\1>", re.DOTALL)


@pytest.fixture(scope="module")
def shown() -> dict[str, Checked]:
    namespace = notebook_of(WRONG)
    return {"all": check.examine_all(namespace), **{n: check.examine(n, namespace) for n in ("grad_w1", "grad_w2")}}


def words(markup: str) -> str:
    """The text of some HTML, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def spoken(markup: str) -> set[str]:
    """The texts of its paragraphs, table cells and lines."""
    without = re.sub(r"<(style|svg)\b.*?</\1>", "", markup, flags=re.DOTALL)
    return {words(inner) for _, inner in SPOKEN.findall(without)} - {""}


@pytest.mark.parametrize("name", ["all", "grad_w1", "grad_w2"])
def test_the_html_runs_nothing_and_loads_nothing(shown: dict[str, Checked], name: str) -> None:
    """It has no script, no handler, nothing to fetch, and no style that affects the page around it."""
    markup = shown[name]._repr_html_()

    assert not re.search(r"<(script|iframe|link|object|form|base|meta)\b", markup)
    assert not re.search(r"\son\w+\s*=|javascript:|@import|url\(", markup)
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:image/png;base64,|\#)""", markup)
    style = re.search(r"<style>(.*?)</style>", markup, re.DOTALL).group(1)
    rules = re.findall(r"(?:^|\})\s*([^{}@]+)\{", style)
    assert rules
    assert all(part.strip().startswith(".grader-check") for rule in rules for part in rule.split(","))


@pytest.mark.parametrize("pictures", [True, False], ids=["data", "no data"])
@pytest.mark.parametrize("name", ["all", "grad_w1", "grad_w2"])
def test_sanitised_html_still_has_all_of_the_text(shown: dict[str, Checked], name: str, pictures: bool) -> None:
    """As in a notebook that is not trusted, or on GitHub: no style, no drawings, perhaps no pictures."""
    markup = shown[name]._repr_html_()

    left = nh3.clean(markup, tags=TAGS, url_schemes={"https", "data"} if pictures else {"https"})

    assert "grader-check" not in words(left), "the style sheet must not become text"
    assert spoken(markup) <= spoken(left) | {words(left)}
    assert left.count("<img") == markup.count("<img")
    assert left.count("base64") == (markup.count('src="data:') if pictures else 0)


@pytest.mark.parametrize("name", ["all", "grad_w1", "grad_w2"])
def test_the_text_says_what_the_html_says(shown: dict[str, Checked], name: str) -> None:
    """
    For terminals and for screen readers: every number, name and word, except for the titles of pictures.

    The numbers to work out by hand are a command of their own there, which the text names.
    """
    bundle = shown[name]._repr_mimebundle_()
    by_hand = r"<details><summary>Work this one by hand</summary>.*?</details>"
    markup, found = re.subn(by_hand, "", bundle["text/html"], flags=re.DOTALL)
    assert bundle["text/plain"].count("check.smallest(") == found
    markup = re.sub(r"<(figcaption|h4)\b.*?</\1>|<p>[^<]*</p>\s*(?=</div>)", "", markup, flags=re.DOTALL)
    titles = {"yours", "reference", "difference"}

    in_html = {word.strip(".,:;()").lower() for sentence in spoken(markup) for word in sentence.split()}
    in_text = {word.strip(".,:;()").lower() for word in bundle["text/plain"].split()}

    assert len(in_html) > 5
    assert in_html - in_text - titles == set()


BUSY = """
import sys, threading
import matplotlib.pyplot as plt
import torch
torch.set_num_threads(2)
stop = threading.Event()
spinning = [threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(stop.is_set, True)]) for _ in range(2)]
for thread in spinning: thread.start()
torch.randn(500, 500) @ torch.randn(500, 500)
plt.plot([1, 2]);
"""
CHECKED = """
check(grad_w1)
stop.set()
torch.get_num_threads(), len(plt.get_fignums()), int(1000 * sys.getswitchinterval())
"""


@pytest.mark.slow
def test_a_busy_kernel_shows_html_and_text() -> None:
    """`jupyter console`, VS Code and Colab get one output with both. Threads, turns and figures stay as they were."""
    notebook = handed_in(WRONG)
    source = [cell for cell in notebook.cells if cell.cell_type == "code" and "plt." not in cell.source][:-2]
    cells = [nbformat.v4.new_code_cell(BUSY), *source, nbformat.v4.new_code_cell(CHECKED)]
    run = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.source) for cell in cells])

    NotebookClient(run, kernel_name="python3", allow_errors=True, timeout=600).execute()

    output, last = run.cells[-1].outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/html", "text/plain"}
    assert output.data["text/plain"].startswith("✗ grad_w1: Wrong values")
    threads, figures, turn_ms = (int(part) for part in last.data["text/plain"].strip("()").split(","))
    assert (threads, figures, turn_ms) == (2, 0, 5)


WITHOUT_UNIX = """
import os, signal, sys
import torch, numpy, nbformat, IPython, jupytext, nbclient, jupyter_client, jinja2, PIL.Image, pygments, safetensors
import rich.console, torch.fx.experimental.symbolic_shapes

class NotHere:
    names = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ImportError(f"there is no {name} here")

sys.meta_path.insert(0, NotHere())
for name in NotHere.names:
    sys.modules.pop(name, None)
for name in ("fork", "forkpty", "getuid", "geteuid", "setsid", "killpg", "waitid", "mkfifo", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGALRM", "SIGCHLD", "SIGHUP", "setitimer"):
    delattr(signal, name)

from grader import check, load_mnist

def init_parameters(generator):
    return {"w": 0.01 * torch.randn(784, 1, generator=generator)}

def forward(x, y, w):
    yhat = x @ w
    return {"yhat": yhat, "loss": (yhat - y).square().mean()}

def grad_yhat(yhat, y):
    return 2 * (yhat - y) / len(y)

def grad_w(x, dyhat):
    return x.T @ dyhat

check(grad_w)
check.all()
"""


def test_a_check_needs_no_unix() -> None:
    """Students work on Windows, too: the program first removes what is missing there."""
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}  # as in a terminal on Windows, which has no ✓
    command = [sys.executable, "-c", WITHOUT_UNIX]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, encoding="cp1252")

    assert done.stderr == ""
    assert done.stdout.startswith("? grad_w: Right\n")
    assert done.stdout.endswith("With your gradients, the curve is the same.\n")
