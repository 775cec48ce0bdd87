"""Nothing secret can be read from inside the sandbox, however the grader was installed, at each level, as each user."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.sandbox import ForkServer, Level, level_of

from .installs import INSTALLS, MARKER, Install, build_wheel, site_packages_of
from .test_places import AS_USER, NO_NAMESPACES

SEARCH = Path(__file__).with_name("search.py")
USERS = {"root": [], "an ordinary user": AS_USER}
LEVELS = {"isolated": [], "filtered": NO_NAMESPACES}


@pytest.fixture(scope="module")
def places() -> Iterator[Path]:
    """A folder that every user can enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="grader-installs-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(places: Path) -> Any:
    """A function that makes an install, or returns the one that was made."""
    (places / "built").mkdir()
    unpacked = functools.cache(lambda: build_wheel(places / "built"))

    @functools.cache
    def install(kind: str) -> tuple[Install, Path]:
        top = places / kind.replace(" ", "-")
        top.mkdir()
        return INSTALLS[kind](base_interpreter(), top, unpacked()), top

    return install


@functools.cache
def base_interpreter() -> str:
    """A Python outside of environments that every user can run, if there is one."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        can_run = [*AS_USER, candidate, "-c", "import venv"] if os.geteuid() == 0 else [candidate, "-c", "import venv"]
        if Path(candidate).exists() and subprocess.run(can_run, capture_output=True, check=False).returncode == 0:
            return candidate
    return str(sys._base_executable)


def search(install: Install, top: Path, *wrapped: str, told: tuple[Path, ...] = (), imports: bool = False) -> Any:
    """What a kernel finds, which is given every path there is: at level `filtered`, it could not find out most."""
    others = {*site_packages_of("torch", "ipykernel"), "/usr", "/lib", "/proc", "/sys", "/dev"}
    walked = list(os.walk(top)) + list(os.walk(install.package))
    paths = [path for folder, _, names in walked for name in names if has_marker(path := f"{folder}/{name}")]
    paths += [os.path.realpath(path) for path in paths]
    names = {
        "MARKER": MARKER,
        "PATHS": sorted({path for path in paths if not path.endswith("/shown.txt")}),
        "TOPS": ["/", *(folder for folder, _, _ in walked)],
        "SKIPPED": others,
        "IMPORTS": imports,
    }
    assert len(names["PATHS"]) > 4
    asked = {"names": repr(names), "told": [str(path) for path in told]}
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **install.environment}
    done = subprocess.run(
        [*wrapped, str(install.python), str(SEARCH), json.dumps(asked)],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def has_marker(path: str) -> bool:
    return Path(path).is_file() and MARKER.encode() in Path(path).read_bytes()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("kind", "user"),
    [*((kind, "root") for kind in INSTALLS), *((kind, "an ordinary user") for kind in ("wheel", "course folder"))],
)
def test_nothing_secret_can_be_read(
    kind: str, user: str, level: str, installed: Any, sandbox_server: ForkServer
) -> None:
    """A text in each of them is searched in all that a kernel can find, and each one is tried by its path."""
    wrapped = [*USERS[user], *LEVELS[level]]
    if USERS[user] and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    if level_of(sandbox_server.layers) < Level[level.upper()]:
        pytest.skip(f"files are not kept from students here: {sandbox_server.layers}")
    if wrapped and subprocess.run([*wrapped, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("users cannot be changed here, or namespaces cannot be refused")
    install, top = installed(kind)
    if USERS[user] and subprocess.run([*wrapped, install.python, "-c", ""], check=False).returncode != 0:
        pytest.skip("no interpreter here can be run by an ordinary user")

    shown, imports = install.show(), kind == "wheel" and user == "root"
    result = search(install, top, *wrapped, told=install.told, imports=imports)

    assert result.get("level") == level, result
    assert {Path(path).resolve() for path in result["found"]} == {shown.resolve()}
    assert result["by_path"] == []
    assert result["package"].startswith(f"{install.package.resolve()}/grader/")
    assert result["looked_into"] > 20
    assert result["packages"] == (["", 10_000, "grader.checking.check"] if imports else [])
