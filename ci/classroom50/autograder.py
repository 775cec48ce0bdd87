"""
An autograder for Classroom 50. Copy this file to the assignment's folder there, and change the two lines marked <-.

Beside it belong the released notebook as text (`two_layer_mse.md`), the grader's wheel (`grader release --wheel`) and
`constraints.txt`. Everybody can read this folder, so nothing else does: the notebook is graded in public, by autograd
alone, without a solution or a seed.

In the student's repository it writes `result.json`, `release-body.md` and `grader-reports/report.html`. If the grader
fails, it tells Classroom 50 so: nothing is published then, and nobody loses points.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ASSIGNMENT_ID = "two_layer_mse"  # <- the assignment
NOTEBOOK = "two_layer_mse.ipynb"  # <- what students change

GRADER = ""  # where the grader is if there is no wheel: `git+` and the address of its repository
TORCH_INDEX = ""  # the address of PyTorch's index of CPU builds (see its installation page), which install faster
SANDBOX = "filtered"  # the weakest sandbox in which students' code may run: none, process, filtered or isolated
TIME_LIMIT_S = 720.0  # for all of this: Classroom 50 ends a job after 15 minutes, and then nobody learns why

HERE = Path(__file__).resolve().parent
REPORT = Path("grader-reports") / "report.html"
"""Classroom 50 attaches files by their names, so this one is the same for every notebook."""

MAX_SUMMARY = 140
MAX_BODY_BYTES = 120_000
"""GitHub refuses a release with more text."""

MAX_DEPTH = 10
OLDEST_PYTHON = (3, 10)
NAMESPACES = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
IDENTITY = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}


class Fault(Exception):  # noqa: N818 - it is the grader that is at fault
    """The grader, its installation or this folder cannot be used. The message is for students to pass on."""


@dataclasses.dataclass(frozen=True)
class Graded:
    """
    What to tell Classroom 50.

    Attributes:
        result: The content of `result.json`.
        body: Markdown.
        summary: One line.
        is_fault: Whether the grader failed, at all or at some exercises.
        annotations: Commands to GitHub, which show mistakes at their lines.
    """

    result: str
    body: str
    summary: str
    is_fault: bool
    annotations: str = ""


def main() -> None:
    """Grade the repository in the working directory, and write the files. A failure of the grader is a result, too."""
    checkout = Path.cwd()
    deadline = time.monotonic() + float(os.environ.get("GRADER_TIMEOUT_S") or TIME_LIMIT_S)
    scratch = Path(tempfile.mkdtemp(dir=os.environ.get("RUNNER_TEMP")))
    try:
        with without_commands():
            graded = grade(checkout, scratch, deadline)
    except Fault as fault:
        graded = failed(str(fault))
    except Exception as error:
        graded = failed(f"{Path(__file__).name} raised {type(error).__name__}: the job's log says where.")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(graded.annotations)
    put(checkout / "release-body.md", graded.body)
    put(checkout / "result.json", graded.result)
    outputs = f"summary={graded.summary[:MAX_SUMMARY]}\n" + ("status=error\n" if graded.is_fault else "")
    if "GITHUB_OUTPUT" in os.environ:
        with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
            file.write(outputs)


def grade(checkout: Path, scratch: Path, deadline: float) -> Graded:
    """Grade the student's notebook, and put the report for people in its place."""
    clear(checkout / REPORT.parent)
    if sys.version_info < OLDEST_PYTHON:
        raise Fault(f"This is Python {sys.version_info[0]}.{sys.version_info[1]}, and the grader needs a newer one.")
    notebook, problem = find_notebook(checkout)
    grader = install(scratch / "grader", deadline)
    allow_namespaces()
    if notebook is None:  # a report says so, and has as many points as everybody else's
        notebook = scratch / "submission" / Path(NOTEBOOK).name
        notebook.parent.mkdir()
        notebook.touch()
    say(f"Grading {str(notebook)!a}\n")
    reports = scratch / "reports"
    options = ["--solutions", HERE, "--assignment", ASSIGNMENT_ID, "--require-sandbox", SANDBOX, "--output", reports]
    code = run([grader, "grade", "--public", *options, "--", notebook], deadline, checkout)
    written = sorted(reports.glob("*.json"))
    if not written:
        raise Fault(f"Nothing could be graded (exit code {code}): the job's log says why.")
    report = written[0]

    def exported(form: str) -> str:
        file = scratch / form
        command = [grader, "export", f"--format={form}", f"--notebook={notebook}", "--output", file, report]
        if run(command, deadline, checkout):
            raise Fault(f"The report could not be exported to {form}: the job's log says why.")
        return file.read_text(encoding="utf-8")

    result = exported("classroom50")
    put(checkout / REPORT, report.with_suffix(".html").read_bytes())
    statuses = [test["status"] for test in json.loads(result)["tests"]]
    body = exported("markdown")
    if len(body.encode()) > MAX_BODY_BYTES:
        body = f"There is too much to show here: see the attached {REPORT.name}.\n"
    return Graded(
        result=result,
        body=f"{problem}\n\n{body}" if problem else body,
        summary=summary_of(json.loads(report.read_text(encoding="utf-8")), statuses, problem),
        is_fault="error" in statuses,
        annotations=exported("github"),
    )


def summary_of(report: dict[str, Any], statuses: list[str], problem: str) -> str:
    """The verdict in one line, or why there is none."""
    if "error" in statuses:
        return f"{statuses.count('error')} of {len(statuses)} exercises could not be graded. This costs no points."
    if problem:
        return problem
    points = f"{report['score']:g} of {report['max_score']:g} points: " if report["max_score"] else ""
    return f"{points}{statuses.count('pass')} of {len(statuses)} exercises are right."


def failed(why: str) -> Graded:
    """What to tell Classroom 50 if there is no report. It publishes nothing, so the result does not count."""
    whose = {field: os.environ.get(name, "") for field, name in IDENTITY.items()}
    result = {"schema": "classroom50/result/v1", **whose, "score": 0, "max-score": 0, "tests": []}
    text = "This could not be graded. It is not your fault, and it costs you no points. Please tell your instructor."
    return Graded(
        result=json.dumps(result, indent=1) + "\n",
        body=f"{text}\n\n{why}\n",
        summary="This could not be graded, which costs no points: please tell your instructor.",
        is_fault=True,
        annotations=f"::error title=Nothing could be graded::{why}\n",
    )


# ------------------------------------------------------------------------------------------------------ the notebook


def find_notebook(checkout: Path) -> tuple[Path | None, str]:
    """
    Find the file to grade, relative to the checkout: it has its name, or it is the only notebook.

    Returns:
        tuple[Path | None, str]: The file, or a sentence for the student if there is none. Links are not followed.
    """
    named = Path(NOTEBOOK)
    if is_ordinary(checkout, named):
        return named, ""
    if (checkout / named).is_symlink():
        return None, f"`{NOTEBOOK}` is a link, and links are not followed."
    found = []
    for place, folders, files in os.walk(checkout):
        folder = Path(place).relative_to(checkout)
        is_deep = len(folder.parts) >= MAX_DEPTH
        folders[:] = [] if is_deep else sorted(name for name in folders if not name.startswith("."))
        found += [folder / name for name in sorted(files) if name.lower().endswith(".ipynb")]
    others = [path for path in found if is_ordinary(checkout, path)]
    if len(others) == 1:
        return others[0], ""
    several = ", but several others" if others else ""
    return None, f"There is no notebook `{NOTEBOOK}` in this repository{several}."


def is_ordinary(checkout: Path, path: Path) -> bool:
    """Whether it is a file, and no part of its path is a link, which might lead out of the repository."""
    steps = [checkout.joinpath(*path.parts[: number + 1]) for number in range(len(path.parts))]
    try:
        modes = [step.lstat().st_mode for step in steps]
    except OSError:
        return False
    return stat.S_ISREG(modes[-1]) and all(map(stat.S_ISDIR, modes[:-1]))


# ------------------------------------------------------------------------------------------------------- the grader


def install(folder: Path, deadline: float) -> str:
    """
    Install the grader from the wheel beside this file; without one, use that on the PATH, or that in its repository.

    Returns:
        str: The command.

    Raises:
        Fault: There is no grader, or it cannot be installed.
    """
    wheels = sorted(HERE.glob("*.whl"))
    found = shutil.which("grader")
    if found and not wheels:
        return found
    if len(wheels) > 1:
        raise Fault(f"There are several wheels beside {Path(__file__).name}.")
    if not wheels and not GRADER:
        raise Fault(f"There is no wheel of the grader beside {Path(__file__).name}, and no grader is installed.")
    what = f"{wheels[0]}[grading]" if wheels else f"backprop-grader[grading] @ {GRADER}"
    constraints = HERE / "constraints.txt"
    pinned = ["--constraint", constraints] if constraints.is_file() else []
    index = {"PIP_EXTRA_INDEX_URL": TORCH_INDEX} if TORCH_INDEX else {}
    # `-I` keeps files of the student's repository from being imported in place of modules.
    pip = [folder / "bin" / "python", "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-I", "-m", "venv", folder], [*pip, *pinned, what]):
        if run(command, deadline, HERE, **index):
            raise Fault("The grader could not be installed: the job's log says why.")
    return str(folder / "bin" / "grader")


def allow_namespaces() -> None:
    """Ubuntu's AppArmor forbids users to create namespaces, which the sandbox consists of: lift that, if we may."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if NAMESPACES.read_text().strip() == "1":
            command = ["sudo", "-n", "tee", str(NAMESPACES)]
            subprocess.run(command, input=b"0", capture_output=True, check=False, timeout=30)


def run(command: list[Any], deadline: float, folder: Path, **variables: str) -> int:
    """
    Run a command, whose messages go to the job's log.

    Returns:
        int: Its exit code.

    Raises:
        Fault: The time is up. The command and what it has started are killed.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Fault("The time was up before everything was graded.") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# --------------------------------------------------------------------------------------------------- files and log


@contextlib.contextmanager
def without_commands() -> Iterator[None]:
    """Nothing that is printed meanwhile is a command to GitHub: it may quote what a student wrote."""
    token = secrets.token_hex(16)
    say(f"::stop-commands::{token}\n")
    try:
        yield
    except Exception as error:
        say(f"{error}\n" if isinstance(error, Fault) else traceback.format_exc())
        raise
    finally:
        say(f"\n::{token}::\n")


def say(text: str) -> None:
    """Write to the job's log, before anything that other processes write to it from now on."""
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def put(path: Path, content: str | bytes) -> None:
    """Write a file, in place of whatever has that name: a student may have committed a link or a folder."""
    clear(path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def clear(path: Path) -> None:
    """Remove a file, a link or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
