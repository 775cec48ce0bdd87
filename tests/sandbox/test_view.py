"""Which paths are shown of an installation, whatever else stands in its folders."""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.execution.warm import OWN
from grader.sandbox import Bounds, ForkServer, Level, SandboxUnavailable, level_of, start_forked_kernel
from grader.sandbox.installation import installed_names, view_of_installation
from grader.sandbox.view import Selection, Shown, View, first_readable

from .conftest import SandboxRunner

PACKAGE = Path(__file__).parents[2] / "grader"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def write(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


def is_shown(view: View, path: Path) -> bool:
    """Whether a kernel sees a file, both with a private root and with Landlock alone."""
    in_root = any(path.is_relative_to(tree) for tree in view.trees) and not any(
        path.is_relative_to(hidden) for hidden in view.hidden
    )
    assert in_root == any(path.is_relative_to(allowed) for allowed in view.allowed), path
    return in_root


def install(packages: Path, name: str, *files: str, record: bool = True) -> None:
    write(*(packages / file for file in files))
    (packages / f"{name}-1.0.dist-info").mkdir(parents=True, exist_ok=True)
    if record:
        (packages / f"{name}-1.0.dist-info" / "RECORD").write_text("".join(f"{file},,\n" for file in files))


# ------------------------------------------------------------------------------------------------- the installation


def test_the_view_has_python_and_not_the_repository(tmp_path: Path) -> None:
    view = view_of_installation(own=OWN, secrets=[PACKAGE / "samples", tmp_path])

    assert is_shown(view, PACKAGE / "harness" / "serve.py")
    assert is_shown(view, Path(sys.executable).resolve())
    for secret in ("solutions", "tests", ".git", "pyproject.toml", "grader/samples", "grader/classroom"):
        assert not is_shown(view, PACKAGE.parent / secret), secret
    assert not is_shown(view, Path("/etc/shadow"))
    assert not is_shown(view, tmp_path)
    assert view.is_current


def test_the_own_package_is_shown_as_far_as_it_is_asked_for() -> None:
    least, more = view_of_installation(), view_of_installation(own=["harness", "model"])

    assert all(is_shown(least, PACKAGE / name) for name in ("__init__.py", "sandbox/kernel.py"))
    assert not is_shown(least, PACKAGE / "model.py")
    assert all(is_shown(more, PACKAGE / name) for name in ("__init__.py", "harness/serve.py", "model.py"))
    assert not is_shown(more, PACKAGE / "judge.py")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of conda's in the folder of a course: the whole of Python is in it."""
    library = tmp_path / "lib" / PYTHON
    write(tmp_path / "bin" / "python3", tmp_path / "bin" / "grade-all", tmp_path / "lib" / "libopenblas.so.0")
    write(library / "os.py", library / "lib-dynload" / "math.so", tmp_path / "share" / "zoneinfo" / "UTC")
    write(tmp_path / "conda-meta" / "history", tmp_path / "lib" / "answers" / "a.md", tmp_path / "share" / "marks.csv")
    write(tmp_path / "solutions" / "a.md", tmp_path / "submissions" / "bob.ipynb", tmp_path / "out" / "gradebook.json")
    install(library / "site-packages", "numpy", "numpy/__init__.py", "numpy.libs/blas.so", "_numpy_rest.py")
    write(library / "site-packages" / "course" / "solutions" / "a.md", library / "site-packages" / "answers.py")
    for name in ("prefix", "base_prefix", "exec_prefix", "base_exec_prefix"):
        monkeypatch.setattr(sys, name, str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3"))
    monkeypatch.setattr(sys, "path", [str(library), str(library / "lib-dynload"), str(library / "site-packages")])
    return tmp_path


def test_an_environment_in_the_folder_of_a_course(course: Path) -> None:
    view = view_of_installation()

    library = course / "lib" / PYTHON
    shown = ["bin/python3", "lib/libopenblas.so.0", "share/zoneinfo/UTC"]
    packages = ["numpy/__init__.py", "numpy.libs/blas.so", "_numpy_rest.py", "numpy-1.0.dist-info/RECORD"]
    assert all(is_shown(view, course / name) for name in shown)
    assert all(is_shown(view, library / name) for name in ("os.py", "lib-dynload/math.so"))
    assert all(is_shown(view, library / "site-packages" / name) for name in packages)
    for secret in (
        "solutions/a.md",
        "submissions/bob.ipynb",
        "out/gradebook.json",
        "lib/answers/a.md",
        "share/marks.csv",
    ):
        assert not is_shown(view, course / secret), secret
    assert not is_shown(view, course / "bin" / "grade-all")
    assert not is_shown(view, library / "site-packages" / "course" / "solutions" / "a.md")
    assert not is_shown(view, library / "site-packages" / "answers.py")
    assert str(course) not in view.listed


def test_what_appears_later_is_not_shown(course: Path) -> None:
    """A folder of packages may be shown whole, with masks; then it is looked at again when something is new in it."""
    packages = course / "lib" / PYTHON / "site-packages"
    install(packages, "many", *(f"many_{number}.py" for number in range(40)))
    view = view_of_installation()
    assert view.is_current

    write(packages / "out" / "gradebook.json")

    assert not view.is_current
    assert not is_shown(view_of_installation(), packages / "out" / "gradebook.json")


@pytest.mark.parametrize("name", ["course", "lib/python", "site-packages.zip", "answers.egg-link"])
def test_other_entries_of_the_path_are_not_shown(course: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A course named in PYTHONPATH or in a .pth file, or an archive."""
    entry = course / name
    if entry.suffix == ".zip":
        with zipfile.ZipFile(entry, "w") as archive:
            archive.writestr("answers.py", "x")
    else:
        write(entry / "answers.py", entry / "package" / "__init__.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(entry)])

    view = view_of_installation()

    assert not is_shown(view, entry / "answers.py")
    assert not is_shown(view, entry)


def test_a_link_to_an_environment_shows_no_more(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = course.parent / "link"
    link.symlink_to(course)
    packages = link / "lib" / PYTHON / "site-packages"
    install(packages, "many", *(f"many_{number}.py" for number in range(40)))
    monkeypatch.setattr(sys, "prefix", str(link))
    monkeypatch.setattr(sys, "executable", str(link / "bin" / "python3"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])

    view = view_of_installation(secrets=[course / "lib" / PYTHON / "site-packages" / "numpy"])

    for top in (course, link):
        assert is_shown(view, top / "lib" / PYTHON / "site-packages" / "many_1.py")
        assert not is_shown(view, top / "lib" / PYTHON / "site-packages" / "answers.py")
        assert not is_shown(view, top / "lib" / PYTHON / "site-packages" / "numpy" / "__init__.py")


def test_compiled_files_of_hidden_modules_are_hidden(course: Path) -> None:
    packages = course / "lib" / PYTHON / "site-packages"
    install(packages, "single", "single.py")
    write(packages / "__pycache__" / "single.cpython-311.pyc", packages / "__pycache__" / "answers.cpython-311.pyc")

    view = view_of_installation()

    assert is_shown(view, packages / "__pycache__" / "single.cpython-311.pyc")
    assert not is_shown(view, packages / "__pycache__" / "answers.cpython-311.pyc")


def test_names_of_what_is_installed(tmp_path: Path) -> None:
    """By the distribution's name, by `top_level.txt`, or by the list of its files, whatever its length."""
    install(tmp_path, "PyThing", "pything/__init__.py", record=False)
    install(tmp_path, "old_style", "other/__init__.py", record=False)
    (tmp_path / "old_style-1.0.dist-info" / "top_level.txt").write_text("other\n")
    install(tmp_path, "long", *(f"long/{number}.py" for number in range(5000)), "rest.cpython-311.so")
    write(tmp_path / "othe" / "a.md", tmp_path / "res.py", tmp_path / "longer" / "a.md")

    names = installed_names(str(tmp_path))

    assert names >= {"pything", "other", "long", "rest"}
    assert not names & {"othe", "res", "longer"}


# ---------------------------------------------------------------------------------------------------- the selection


@pytest.mark.parametrize("how", Shown)
@pytest.mark.parametrize("entries", [3, 60])
def test_every_way_shows_the_same(how: Shown, entries: int, tmp_path: Path) -> None:
    write(*(tmp_path / f"shown_{number}" / "a" for number in range(entries)))
    write(*(tmp_path / f"other_{number}" / "a" for number in range(entries)), tmp_path / "shown_1" / "secret" / "a")
    write(tmp_path / "other_1" / "needed" / "a")
    (tmp_path / "shown_link").symlink_to(tmp_path / "other_2")
    selection = Selection()
    selection.limit(tmp_path, lambda name: name.startswith("shown"), how)
    selection.exclude(tmp_path / "shown_1" / "secret")
    selection.show(tmp_path)
    selection.show(tmp_path / "other_1" / "needed")

    view = selection.view()

    assert all(is_shown(view, tmp_path / f"shown_{number}" / "a") for number in range(entries))
    assert is_shown(view, tmp_path / "other_1" / "needed" / "a")
    assert not is_shown(view, tmp_path / "other_1" / "a")
    assert not is_shown(view, tmp_path / "other_2" / "a")
    assert not is_shown(view, tmp_path / "shown_1" / "secret" / "a")


def test_first_readable(tmp_path: Path) -> None:
    """A file, a folder with something in it; not an empty folder, nor one that has only what is shown."""
    write(tmp_path / "shown" / "a", tmp_path / "secret" / "a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank").touch()
    selection = Selection()
    selection.show(tmp_path / "shown")
    view = selection.view()

    def readable(*names: str) -> str | None:
        return first_readable([str(tmp_path / name) for name in names], view)

    assert readable("empty", "blank", "missing") is None
    assert readable("empty", "secret") == str(tmp_path / "secret")
    assert readable("secret/a") == str(tmp_path / "secret" / "a")
    assert readable(".") == str(tmp_path / ".")
    assert (
        first_readable([str(tmp_path)], view, own=[str(tmp_path / name) for name in ("secret", "empty", "blank")])
        is None
    )


# --------------------------------------------------------------------------------------------------------- a kernel


@pytest.fixture
def filtered(sandbox_server: ForkServer) -> ForkServer:
    if level_of(sandbox_server.layers) < Level.FILTERED:
        pytest.skip(f"files are not kept from students here: {sandbox_server.layers}")
    return sandbox_server


async def _start(server: ForkServer, *secrets: Path) -> None:
    async with start_forked_kernel(server, Bounds(memory_mib=512), secrets=secrets):
        pass


@pytest.mark.parametrize("secret", ["", "serve.py"])
def test_no_kernel_starts_where_it_would_see_a_secret(secret: str, filtered: ForkServer) -> None:
    """What a caller names may be in the installation itself. The next kernel starts as ever."""
    import asyncio

    path = PACKAGE / "harness" / secret
    with pytest.raises(SandboxUnavailable, match="would be able to read") as refused:
        asyncio.run(_start(filtered, PACKAGE.parent / "solutions", path))

    assert str(path) in refused.value.message
    assert "another place" in refused.value.hint
    asyncio.run(
        _start(filtered, PACKAGE.parent / "solutions", Path("/"), Path("/tmp"), PACKAGE.parent, Path("/scratch"))
    )


def imported_by(path: Path) -> Iterator[str]:
    """The modules and folders of the package that a file imports from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "grader":
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "grader" else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("grader.")]
        else:
            continue
        yield from (name.split(".")[1] for name in names)


def test_a_kernel_sees_what_its_modules_import() -> None:
    """Each module that it sees imports from none that it does not see, and all that notebooks use is among them."""
    rooms = {path.removesuffix(".py") for path in (path.name for path in PACKAGE.iterdir())}
    shown = {*OWN, "sandbox"}
    assert shown <= rooms
    for name in sorted(shown):
        files = (PACKAGE / name).rglob("*.py") if (PACKAGE / name).is_dir() else [PACKAGE / f"{name}.py"]
        for file in files:
            assert set(imported_by(file)) & rooms <= shown, file
    needed = {"checking", "harness", "reference", "pytest_plugin"}
    reached = set(needed)
    while True:
        folders = [PACKAGE / name for name in reached]
        files = [file for folder in folders for file in (*folder.rglob("*.py"), folder.with_suffix(".py"))]
        further = {name for file in files if file.is_file() for name in imported_by(file)} & rooms
        if further <= reached:
            break
        reached |= further
    assert reached - {"sandbox"} == set(OWN)


def test_all_that_is_shown_can_be_imported(sandbox_runner: SandboxRunner) -> None:
    """In a kernel and in a process that a notebook starts."""
    modules = sorted(
        ".".join(("grader", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for name in OWN
        for path in ((PACKAGE / name).rglob("*.py") if (PACKAGE / name).is_dir() else [PACKAGE / f"{name}.py"])
    )
    result = sandbox_runner.run(
        "import importlib\nfailed = []\n"
        f"for name in {modules!r}:\n"
        "    try:\n        importlib.import_module(name)\n"
        "    except Exception as error:\n        failed.append((name, str(error)))\n"
        "from grader import check, load_mnist\n"
        "get_ipython().run_line_magic('load_ext', 'grader')\n"
        "result = failed, len(load_mnist('test')[0])"
    )
    assert result == ([], 10_000)


def test_what_is_not_shown_cannot_be_imported(sandbox_runner: SandboxRunner) -> None:
    for name in ("grader.classroom.run", "grader.commands.grade", "grader.authoring.validate"):
        assert sandbox_runner.run(f"import {name}").startswith("ModuleNotFoundError")
