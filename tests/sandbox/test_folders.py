"""Temporary folders of graders that were killed are removed by the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from grader.sandbox import folders as scratch
from grader.sandbox.bounds import KERNEL_USERS

HOLD = """
import sys
from grader.sandbox.folders import temporary_folder
with temporary_folder() as folder:
    (folder / "scratch").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "YOUNG_S", -1.0)
    return tmp_path


def test_a_folder_is_removed_when_its_process_was_killed(here: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env=os.environ | {"TMPDIR": str(here)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        scratch.sweep()
        assert (folder / "scratch").is_dir(), "its process lives"

        process.send_signal(signal.SIGKILL)
        process.wait()
        assert folder.is_dir()
        scratch.sweep()

    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders to other users")
def test_a_folder_that_root_gave_to_a_kernel_is_removed(here: Path) -> None:
    """But not those of users who are no kernels."""
    for name, user in (("kernels1", KERNEL_USERS.start), ("kernels2", KERNEL_USERS.stop - 1), ("somebody", 1000)):
        folder = here / f".grader-{name}"
        (folder / "work").mkdir(parents=True)
        os.chown(folder, user, user)

    scratch.sweep()

    assert [path.name for path in here.iterdir()] == [".grader-somebody"]


def test_only_abandoned_folders_are_removed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not our own, young ones, other users', those with other names, links, and what links in them lead to."""
    target = here / "precious"
    target.mkdir()
    (target / "file").touch()
    (here / ".grader-abcdefgh").symlink_to(target)
    (here / ".grader-notes").mkdir()
    (here / ".grader-12345678").touch()
    abandoned = here / ".grader-abcd1234"
    abandoned.mkdir()
    (abandoned / "link").symlink_to(target)
    with scratch.temporary_folder() as own:
        for name, value in (("YOUNG_S", 60.0), ("os.geteuid", lambda: -1)):
            with monkeypatch.context() as patched:
                patched.setattr(f"grader.sandbox.folders.{name}", value)
                scratch.sweep()
            assert abandoned.is_dir()
        scratch.sweep()
        assert own.is_dir()

    assert not abandoned.exists()
    assert {path.name for path in here.iterdir()} == {
        "precious",
        ".grader-abcdefgh",
        ".grader-notes",
        ".grader-12345678",
    }
    assert (target / "file").is_file()


def _nested(folder: Path, depth: int) -> None:
    """Make folders in folders, whose path is too long for any system call."""
    here = Path.cwd()
    os.chdir(folder)
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    os.chdir(here)


def test_what_a_notebook_leaves_is_removed_whatever_it_is(here: Path) -> None:
    """Thousands of folders in folders, folders without rights, and links: what they lead to stays."""
    precious = here / "precious"
    precious.mkdir()
    (precious / "file").touch()

    with scratch.temporary_folder() as folder:
        _nested(folder, 3_000)
        closed = folder / "closed" / "inner"
        closed.mkdir(parents=True)
        (closed / "file").touch()
        (closed / "link").symlink_to(precious)
        (closed / "loop").symlink_to(closed)
        os.mkfifo(closed / "pipe")
        for path in (closed, closed.parent):
            path.chmod(0)
        folder.chmod(0o500)

    assert not folder.exists()
    assert (precious / "file").exists()
    assert list(here.iterdir()) == [precious]
