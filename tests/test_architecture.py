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
    ["errors", "files", "shipped", "version"],
    ["model"],
    ["visibility"],
    ["notebook"],
    ["assignment"],
    ["compare", "reference"],
    ["sandbox", "harness"],
    ["execution"],
    ["judge", "diagnosis"],
    ["verdict"],
    ["pipeline"],
    ["reports"],
    ["exports", "checking", "authoring"],
    ["classroom", "demo", "doctor"],
    ["gradescope", "pytest_plugin"],
    ["commands"],
    ["cli", "__main__"],
]
"""A module may import those above it, and its neighbours in the same folder or layer, but nothing below."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        if parts[0] not in ("samples", "__init__.py"):
            yield parts[0].removesuffix(".py"), path


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, also within functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("grader."):
            names.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("grader.")}
    return names


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: getattr(value, "name", value))
def test_imports_go_one_way(name: str, path: Path) -> None:
    """Each module has its place, and imports from above only."""
    assert name in LEVEL, f"{name} has no place in LAYERS"
    for other in imported(path):
        assert LEVEL[other] <= LEVEL[name], f"{name} imports {other}, which is below it"


def test_no_cycles() -> None:
    """Neighbours in a layer do not import one another in a circle."""
    graph: dict[str, set[str]] = {}
    for name, path in modules():
        graph.setdefault(name, set()).update(imported(path) - {name})

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
    """No pickle anywhere, no printing."""
    text = path.read_text(encoding="utf-8")

    assert not re.search(
        r"\b(pickle|marshal|shelve|dill|cloudpickle|torch\.load)\b", text.replace("without pickle", "")
    )
    assert not re.search(r"^\s*print\(", text, re.MULTILINE)


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: getattr(value, "name", value))
def test_modules_are_small(name: str, path: Path) -> None:
    """400 lines is the point to split."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_all_lists_what_there_is() -> None:
    """`__all__` names exist, and are sorted."""
    for name, path in modules():
        if path.parent == PACKAGE and name != "__main__":
            module = importlib.import_module(f"grader.{name}")
            assert all(hasattr(module, public) for public in module.__all__), name


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
