"""The shape of the package: data flows one way, and what must never be done is done nowhere."""

from __future__ import annotations

import ast
import importlib
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import errors

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "grader"

LAYERS = [
    ["errors", "files", "modes", "shipped", "trees", "version"],
    ["calling"],
    ["model"],
    ["visibility"],
    ["notebook"],
    ["assignment"],
    ["compare", "reference"],
    ["sandbox", "harness"],
    ["execution"],
    ["judge", "chain", "notices", "diagnosis"],
    ["verdict"],
    ["pipeline"],
    ["reports"],
    ["exports", "submitting"],
    ["checking", "authoring"],
    ["classroom", "demo", "doctor"],
    ["gradescope", "pytest_plugin", "portal"],
    ["commands"],
    ["cli", "__main__"],
]
"""A module may import those above it, and its neighbours in the same folder or layer, but nothing below."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

WITHOUT_LAYER = {"bundled", "samples", "schemas"}
"""Folders of the package that contain data instead of modules."""

MOST_FILES = 20

PRIVATE_PATH = re.compile(r"\b(?:grader|tests|benchmarks)(?:\.\w+)*\._(?!_)\w+")


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        if parts[0] not in ("samples", "__init__.py"):
            yield parts[0].removesuffix(".py"), path


def imported_modules(path: Path) -> set[str]:
    """The modules of the package that a file imports, also within functions: `execution.calls`, or `model`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "grader":
            submodules = {alias.name for alias in node.names if is_module(node.module, alias.name)}
            assert node.module != "grader" or len(submodules) == len(node.names), f"{path}: no module has that name"
            names |= {f"{node.module}.{name}" for name in submodules} or {node.module}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("grader.")}
    return {name.removeprefix("grader.") for name in names}


def imported(path: Path) -> set[str]:
    """The rooms of the package that a file imports from: folders, and modules that stand outside of folders."""
    return {name.split(".")[0] for name in imported_modules(path)}


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: getattr(value, "name", value))
def test_imports_go_one_way(name: str, path: Path) -> None:
    """Each module has its place, and imports from above only."""
    assert name in LEVEL, f"{name} has no place in LAYERS"
    for other in imported(path):
        assert LEVEL[other] <= LEVEL[name], f"{name} imports {other}, which is below it"


def test_every_folder_has_its_place() -> None:
    """Each folder of the package is in LAYERS or contains data, and each name in LAYERS exists."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    rooms = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}

    assert folders - LEVEL.keys() <= WITHOUT_LAYER
    assert LEVEL.keys() <= rooms - WITHOUT_LAYER
    assert sum(len(names) for names in LAYERS) == len(LEVEL), "a name stands in two layers"


def test_few_files_are_outside_of_folders() -> None:
    """Only a few concepts deserve a file directly in the package."""
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FILES


def test_no_cycles() -> None:
    """No rooms import one another in a circle, and no modules do, within a room either."""
    rooms: dict[str, set[str]] = {}
    files: dict[str, set[str]] = {}
    for room, path in modules():
        rooms.setdefault(room, set()).update(imported(path) - {room})
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        files[name] = imported_modules(path) - {name}

    for graph in (rooms, files):
        while graph:
            free = {name for name, needs in graph.items() if not needs & graph.keys()}
            assert free, f"a circle among {sorted(graph)}"
            graph = {name: needs for name, needs in graph.items() if name not in free}


@pytest.mark.parametrize("path", sorted((PACKAGE / "sandbox").rglob("*.py")), ids=lambda path: path.name)
def test_the_sandbox_imports_nothing_else_of_the_package(path: Path) -> None:
    """So that another project can take it over as it is."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}

    assert not {name for name in names if re.match(r"\.\.|grader(?!\.sandbox\b)", name)}


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: getattr(value, "name", value))
def test_what_is_never_done(name: str, path: Path) -> None:
    """No pickle anywhere, no printing, no parsing of code without the lock."""
    text = path.read_text(encoding="utf-8")

    assert not re.search(
        r"\b(pickle|marshal|shelve|dill|cloudpickle|torch\.load)\b", text.replace("without pickle", "")
    )
    assert not re.search(r"^\s*print\(", text, re.MULTILINE)
    parses = re.search(r"^(?!.*>>>).*(\bast\.parse\(|\bPyCF_ONLY_AST\b)", text, re.MULTILINE)
    assert not parses or name == "trees", "threads may parse at once only in `grader.trees`"


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: getattr(value, "name", value))
def test_modules_are_small(name: str, path: Path) -> None:
    """400 lines is the point to split."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def python_files() -> Iterator[Path]:
    """Our Python files. The corpus and the samples are students' code."""
    for folder in ("grader", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not {"corpus", "samples"} & set(path.relative_to(ROOT).parts[:2]):
                yield path


def private_names(code: str) -> list[str]:
    """The private names of our other modules that code uses, as `line: name`."""
    own_modules: set[str] = set()
    found: list[str] = []
    nodes = list(ast.walk(ast.parse(code)))
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            found += [f"{node.lineno}: {alias.name}" for alias in node.names if is_private(alias.name)]
            own_modules |= {alias.asname or alias.name for alias in node.names if is_module(node.module, alias.name)}
        elif isinstance(node, ast.Import):
            own_modules |= {alias.asname or alias.name for alias in node.names if is_ours(alias.name)}
    for node in nodes:
        name = ""
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in own_modules:
            name = node.attr
        elif isinstance(node, ast.Constant) and PRIVATE_PATH.fullmatch(str(node.value)):
            name = str(node.value).rpartition(".")[2]
        elif isinstance(node, ast.Call) and len(node.args) > 1 and ast.unparse(node.args[0]) in own_modules:
            name = str(getattr(node.args[1], "value", ""))  # monkeypatch.setattr(module, "_name", …)
        if is_private(name):
            found.append(f"{node.lineno}: {name}")
    return found


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("grader", "tests", "benchmarks")


def is_module(package: str | None, name: str) -> bool:
    path = ROOT.joinpath(*(package or "").split("."), name)
    return path.with_suffix(".py").is_file() or path.is_dir()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", list(python_files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_private_names_stay_in_their_module(path: Path) -> None:
    """No other module uses it, not even a test."""
    assert private_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from grader.judge import _decide", ["1: _decide"]),
        ("from tests.conftest import _x as x", ["1: _x"]),
        ("from grader.reference import mnist\nmnist._read_idx(1)", ["2: _read_idx"]),
        ("from grader.reference import mnist as m\nm._cache.clear()", ["2: _cache"]),
        ("import grader.judge\ngrader.judge._flags", ["2: _flags"]),
        ("import grader.judge as j\nj._flags = 3", ["2: _flags"]),
        ("patch.setattr('grader.judge._flags', 3)", ["1: _flags"]),
        ("from grader import judge\npatch.setattr(judge, '_flags', 3)", ["2: _flags"]),
        ("from grader.judge import judge_exercise\njudge_exercise._flags", []),
        ("import grader.judge\ngrader.judge.__name__", []),
        ("from pathlib import _x\nself._y", []),
    ],
)
def test_private_names_are_found(code: str, found: list[str]) -> None:
    """They may be imported, read as an attribute, or patched."""
    assert private_names(code) == found


@pytest.mark.parametrize(
    ("name", "path"),
    [named for named in modules() if "migrations" not in named[1].parts],
    ids=lambda value: getattr(value, "name", value),
)
def test_all_lists_what_there_is(name: str, path: Path) -> None:
    """Each name in `__all__` is defined, or handed on lazily. Only Alembic reads migrations."""
    dotted = ".".join(("grader", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    module = importlib.import_module(dotted)

    assert all(hasattr(module, public) for public in getattr(module, "__all__", ()))
    assert path.name == "__init__.py" or module.__all__


@pytest.mark.parametrize("name", [name for name in errors.__all__ if isinstance(getattr(errors, name), type)])
def test_errors_survive_a_process(name: str) -> None:
    """Each can be sent from a worker, with message and hint."""
    error = getattr(errors, name)("What happened.", "What to do.")

    again = pickle.loads(pickle.dumps(error))

    assert (type(again), again.message, again.hint) == (type(error), error.message, error.hint)
    assert str(again) == "What happened. What to do."


def test_help_does_not_import_torch() -> None:
    """`grader --help` answers at once."""
    script = (
        "import sys; from grader.cli import main; main(['--help']); "
        "assert not {'torch', 'numpy', 'nbclient', 'IPython'} & set(sys.modules), sorted(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Usage: grader" in done.stdout
