"""Installs the grader in the ways that people do, each time with secrets around it that contain one text."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import grader

__all__ = ["INSTALLS", "MARKER", "Install", "build_wheel", "site_packages_of"]

ROOT = Path(__file__).parents[2]
MARKER = "the-text-that-no-notebook-may-read"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclasses.dataclass(frozen=True)
class Install:
    """
    The grader in one place.

    Attributes:
        python: The interpreter to use.
        package: The folder of the package there.
        environment: Further environment variables.
        told: What a command that grades would say no notebook may see.
    """

    python: Path
    package: Path
    environment: dict[str, str]
    told: tuple[Path, ...]

    def show(self) -> Path:
        """A file with the text that a kernel can read: it proves that a search would find the others."""
        shown = self.package / "grader" / "harness" / "shown.txt"
        _plant(shown)
        return shown


def build_wheel(folder: Path) -> Path:
    """The wheel, unpacked, with the text in each of its answers."""
    command = ["wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *command, str(ROOT)], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(unpacked)
    for answers in ("bundled/solutions", "samples"):
        for file in (unpacked / "grader" / answers).rglob("*.*"):
            _plant(file)
    return unpacked


def site_packages_of(*modules: str) -> list[str]:
    """The folders in which this interpreter finds these modules."""
    return sorted({str(Path(__import__(name).__file__).resolve().parents[1]) for name in modules})


def _plant(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"\n# {MARKER}\n")


def _course(folder: Path) -> tuple[Path, ...]:
    """What an instructor has in the folder of a course."""
    _plant(folder / "course.yml", folder / "solutions" / "two_layer_mse.md", folder / "out" / "gradebook.json")
    _plant(folder / "out" / "gradebook.db", folder / "submissions" / "bob.ipynb", folder / ".git" / "index")
    answers = folder / "solutions"
    _plant(folder / ".git" / "objects" / "ab" / "cdef", folder / ".git" / "packed-refs", folder / "out" / "bob.json")
    _plant(answers / ".two_layer_mse.md.swp", answers / "two_layer_mse.md~", answers / "#two_layer_mse.md#")
    _plant(answers / "__init__.py", answers / "__pycache__" / f"a.{sys.implementation.cache_tag}.pyc")
    _plant(answers / ".ipynb_checkpoints" / "two_layer_mse-checkpoint.ipynb", folder / "answers.py")
    return answers, folder / "submissions", folder / "out", folder / "course.yml"


def _venv(base: str, prefix: Path) -> Path:
    """An environment without packages of its own, in which those of this interpreter are found."""
    subprocess.run([base, "-m", "venv", "--without-pip", str(prefix)], check=True, capture_output=True)
    packages = prefix / "lib" / VERSION / "site-packages"
    (packages / "others.pth").write_text("".join(f"{folder}\n" for folder in site_packages_of("torch", "ipykernel")))
    return packages


def _wheel(base: str, top: Path, unpacked: Path) -> Install:
    """A wheel in an environment, and a folder that somebody made beside it; the environment is used through a link."""
    packages = _venv(base, top / "environment")
    shutil.copytree(unpacked, packages, dirs_exist_ok=True)
    _plant(packages / "course" / "solutions" / "a.md", packages / "secret_answers.py", packages / "grades.db")
    compiled = packages / "__pycache__" / f"secret_answers.{sys.implementation.cache_tag}.pyc"
    _plant(compiled, packages / "grader" / "bundled" / "__pycache__" / "a.pyc")
    (top / "link").symlink_to(top / "environment")
    # The folder of the course is on the path, by the two ways in which tools put it there.
    (packages / "course.pth").write_text(f"{top / 'course'}\n")
    (packages / "course.egg-link").write_text(f"{top / 'course'}\n.\n")
    told = (*_course(top / "course"), packages / "grader" / "bundled" / "solutions")
    return Install(top / "link" / "bin" / "python", top / "link" / packages.relative_to(top / "environment"), {}, told)


def _course_folder(base: str, top: Path, unpacked: Path) -> Install:
    """`python -m venv .` in the folder of a course."""
    packages = _venv(base, top)
    shutil.copytree(unpacked, packages, dirs_exist_ok=True)
    told = _course(top)
    _plant(top / "bin" / "regrade.sh", top / "lib" / "answers.py", top / "lib" / VERSION / "notes.txt")
    _plant(top / "share" / "marks.csv", top / "notes.txt", top / "include" / "a.h")
    return Install(top / "bin" / "python", packages, {}, (top, *told))


def _editable(base: str, top: Path, unpacked: Path) -> Install:
    """A clone of the repository, with the environment in it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(grader.__file__).parent, top / "grader", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", top)
    told = _course(top)
    for name in ("case.py", "expect.toml"):
        _plant(top / "tests" / "corpus" / "two_layer_mse" / name)
    for file in (top / "grader" / "samples").rglob("*.py"):
        _plant(file)
    packages = _venv(base, top / ".venv")
    shutil.copytree(unpacked / "grader" / "bundled", packages / "grader" / "bundled")
    (packages / "_editable_impl_backprop_grader.pth").write_text(f"{top}\n")
    return Install(top / ".venv" / "bin" / "python", top, {}, told)


def _user(base: str, top: Path, unpacked: Path) -> Install:
    """`pip install --user`."""
    packages = top / "home" / ".local" / "lib" / VERSION / "site-packages"
    shutil.copytree(unpacked, packages)
    folders = site_packages_of("torch", "ipykernel")
    (packages / "others.pth").write_text("".join(f"{folder}\n" for folder in folders))
    _plant(top / "home" / ".cache" / "pip" / "http-v2" / "a" / "body", top / "home" / ".ipython" / "history.sqlite")
    _plant(top / "home" / ".bash_history", top / "home" / ".local" / "share" / "notes", packages / "mine" / "a.txt")
    return Install(Path(base), packages, {"HOME": str(top / "home")}, _course(top / "home" / "course"))


def _container(base: str, top: Path, unpacked: Path) -> Install:
    """The image of the Containerfile: no answers in the package; those who have them mount them."""
    packages = _venv(base, top / "opt" / "grader" / "venv")
    shutil.copytree(unpacked, packages, dirs_exist_ok=True)
    shutil.rmtree(packages / "grader" / "bundled" / "solutions")
    shutil.rmtree(packages / "grader" / "samples")
    _plant(top / "opt" / "grader" / "assignments" / "a.md")
    return Install(top / "opt" / "grader" / "venv" / "bin" / "python", packages, {}, _course(top / "work"))


def _gradescope(base: str, top: Path, unpacked: Path) -> Install:
    """The layout of an autograder on Gradescope."""
    source = top / "autograder" / "source"
    _venv(base, top / "autograder" / "venv")
    ignored = shutil.ignore_patterns("bundled", "samples")
    shutil.copytree(unpacked / "grader", source / "lib" / "grader", ignore=ignored)
    _plant(source / "options.json", source / "solutions" / "a.md", source / "lib" / "notes.txt")
    _plant(top / "autograder" / "submission" / "a.ipynb", top / "autograder" / "results" / "results.json")
    told = (source / "options.json", source / "solutions", top / "autograder" / "submission")
    environment = {"PYTHONPATH": str(source / "lib")}
    return Install(top / "autograder" / "venv" / "bin" / "python", source / "lib", environment, told)


def _target(base: str, top: Path, unpacked: Path) -> Install:
    """`pip install --target .` in the folder of a course, which is then named in PYTHONPATH."""
    shutil.copytree(unpacked, top, dirs_exist_ok=True)
    _plant(top / "secret_answers.py")
    path = os.pathsep.join([str(top), *site_packages_of("torch", "ipykernel")])
    return Install(Path(base), top, {"PYTHONPATH": path}, (top, *_course(top)))


INSTALLS: dict[str, Callable[[str, Path, Path], Install]] = {
    "editable": _editable,
    "wheel": _wheel,
    "course folder": _course_folder,
    "user": _user,
    "container": _container,
    "gradescope": _gradescope,
    "target": _target,
}
