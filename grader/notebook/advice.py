"""
Says what a notebook misses where it is graded: files, folders, modules, magics, a network, somebody to answer.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from grader.model import CallError
from grader.notebook.read import Notebook

__all__ = ["advice_on"]

_MOST = 5
_LOOKED_AT = 20
_CHARACTERS = 80
_MODULE = re.compile(r"No module named '?([\w.]+)")
_MAGIC = re.compile(r"(Line magic function|Cell magic) `(%+\w+)` not found")
_FILE = re.compile(r"No such file or directory: b?['\"](.+?)['\"]")
_FOLDER = re.compile(
    r"^[ \t]*%?(?:cd|pushd)[ \t]+(?!-)[\"']?([^\"'\n#;]+)|\bchdir\(\s*[rbf]?[\"']([^\"']+)", re.MULTILINE
)
_NETWORK = re.compile(
    r"name resolution|Name or service not known|Network is unreachable|nodename nor servname|getaddrinfo"
)
_GPU = re.compile(r"not compiled with CUDA|No CUDA GPUs|no NVIDIA driver|MPS backend|not linked with support for mps")
_ALONE = "where notebooks are graded, there is only the notebook itself"


def advice_on(notebook: Notebook, errors: Mapping[int, CallError]) -> tuple[str, ...]:
    """
    Sentences about errors of cells that have their cause outside of the notebook.

    Args:
        errors: What the cells raised, by the number of the cell.
    """
    codes = {cell.number: cell.code for cell in notebook.cells}
    found = [
        f"In [{number}] {sentence}"
        for number, error in sorted(errors.items())
        if (sentence := _about(error, codes.get(number, "")))
    ]
    if any(error.type in ("FileNotFoundError", "ModuleNotFoundError", "OSError") for error in errors.values()):
        found += _folders(codes, errors)
    return tuple(dict.fromkeys(found))[:_MOST]


def _about(error: CallError, code: str) -> str:
    message = error.message
    if error.type in ("ModuleNotFoundError", "ImportError") and (match := _MODULE.search(message)):
        module = match[1][:_CHARACTERS]
        if module.startswith("google"):
            return f"needs {module}, which exists only in Google Colab."
        return (
            f"imports {module}, which is not installed where notebooks are graded. If that is a file of yours, copy "
            "its code into the notebook: only the notebook is graded."
        )
    if error.type == "UsageError" and (match := _MAGIC.search(message)):
        return _about_magic(match[1], match[2][:_CHARACTERS])
    if error.type in ("FileNotFoundError", "NotADirectoryError", "OSError") and (match := _FILE.search(message)):
        name = match[1][:_CHARACTERS]
        what = "goes to the folder" if any(name in groups for groups in _FOLDER.findall(code)) else "looks for"
        return f"{what} {name}: {_ALONE}."
    if error.type == "StdinNotImplementedError":
        return "asks for input, but nobody can answer while a notebook is graded."
    if _NETWORK.search(message):
        return "needs a network, and there is none where notebooks are graded."
    if _GPU.search(message):
        return "needs a GPU, and there is none where notebooks are graded. Choose the device by `is_available()`."
    return ""


def _about_magic(kind: str, name: str) -> str:
    if kind == "Line magic function" and name.startswith("%%"):
        return f"has the magic {name} below its first line. Move {name} to the first line of its cell."
    lost = "so nothing in that cell ran" if name.startswith("%%") else "so the cell ended there"
    return f"uses the magic {name}, which is not available where notebooks are graded, {lost}. Leave out {name}."


def _folders(codes: Mapping[int, str], errors: Mapping[int, CallError]) -> Iterator[str]:
    """Changes of the folder that could not succeed: IPython prints that `%cd` failed, and goes on."""
    places = ((number, match) for number, code in codes.items() for match in _FOLDER.finditer(code))
    for number, match in itertools.islice(places, _LOOKED_AT):
        folder = next(filter(None, match.groups())).strip()[:_CHARACTERS]
        is_made = folder.strip("./~") in ("", "tmp") or _is_before(folder.strip("./"), codes, number, match.start())
        if not is_made and number not in errors:
            yield f"In [{number}] goes to the folder {folder}: {_ALONE}."


def _is_before(text: str, codes: Mapping[int, str], cell: int, place: int) -> bool:
    """Whether a text is somewhere in the notebook before a place in a cell."""
    return any(text in code for number, code in codes.items() if number < cell) or text in codes[cell][:place]
