"""
Reads the header of a notebook in text form: the few of its words that are used, and nothing else.

What a header says is data. It names the format, of a closed set, and the assignment; it starts nothing, opens nothing,
and no library for notebooks ever sees it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import yaml

__all__ = ["Header", "HeaderError", "read_header", "uncommented"]

_FORMS = {".py": ("light", "percent", "hydrogen"), ".md": ("markdown", "myst")}
_NAMED = {".py": "light or percent", ".md": "Markdown or MyST"}
_BLOCK = re.compile(r"(?:jupyter|jupytext|grader)[ \t]*:")
_CODING = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*[-_.a-zA-Z0-9]+")
_LINES, _CHARACTERS, _DEPTH, _ITEMS, _BRACKETS = 1_000, 32_768, 10, 1_000, 100
_MARKER_CHARACTERS = 20

_Node: TypeAlias = "str | dict[str, _Node]"


class HeaderError(ValueError):
    """A header by which the file cannot be read; the message is a sentence for the student."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """
    What the header of a file says.

    Attributes:
        end: How many lines of the file belong to it: also those by which a script names its interpreter and encoding.
        form: The format: light, percent, hydrogen, markdown or myst. None if the file has no header that says it.
        markers: How cells of the light format begin and end, if not with + and -.
        assignment, version, files: What `grader release` wrote.
    """

    end: int = 0
    form: str | None = None
    markers: tuple[str, str] | None = None
    assignment: str | None = None
    version: str | None = None
    files: str | None = None


def read_header(lines: Sequence[str], suffix: str) -> Header:
    """
    The header of a file; one without words if it has none.

    Args:
        suffix: `.py` or `.md`.

    Raises:
        HeaderError: It names another format, or is no YAML of the kind that jupytext writes.
    """
    start = _after_first_lines(lines) if suffix == ".py" else 0
    place = _place(lines, start, comment="#" if suffix == ".py" else "")
    blocks = list(_blocks(uncommented(lines[number]) if suffix == ".py" else lines[number] for number in place))
    if not blocks:
        return Header(end=start)
    root = _values("\n".join(blocks))
    inner = _dict(root, "jupyter")
    jupytext = _dict(inner, "jupytext") or _dict(root, "jupytext")
    grader = _dict(inner, "grader") or _dict(root, "grader")
    form = _text(_dict(jupytext, "text_representation"), "format_name")
    if form is not None and form not in _FORMS[suffix]:
        raise HeaderError(
            f"The header of the file says that it is in the format {form[:40]!r}. A {suffix} is only read if it is in "
            f"the format {_NAMED[suffix]}. Hand in the notebook itself, the .ipynb."
        )
    return Header(
        end=_after_html(lines, place.stop + 1),
        form=form,
        markers=_markers(_text(jupytext, "cell_markers")),
        assignment=_text(grader, "assignment"),
        version=_text(grader, "version"),
        files=_text(grader, "files"),
    )


def _after_first_lines(lines: Sequence[str]) -> int:
    """How many lines of a script come before its header: `#!`, and the encoding."""
    start = 1 if lines[:1] and lines[0].startswith("#!") else 0
    return start + bool(lines[start : start + 1] and _CODING.match(lines[start][:_CHARACTERS]))


def _place(lines: Sequence[str], start: int, *, comment: str) -> range:
    """The lines of a header, without those of dashes around them; none if there is no header."""
    fence = f"{comment} ---" if comment else "---"
    last = min(len(lines), start + _LINES)
    while start < last and (not lines[start].strip() or (not comment and lines[start].strip() == "<!--")):
        start += 1
    if start < last and lines[start].rstrip() == fence:
        for number in range(start + 1, last):
            if lines[number].rstrip() == fence:
                return range(start + 1, number)
            if not lines[number].startswith(comment):
                break
    return range(0)


def _after_html(lines: Sequence[str], end: int) -> int:
    """The line after the end of a comment in HTML, if there is nothing else but that; a header may stand in one."""
    number = end
    while number < min(len(lines), end + _LINES) and not lines[number].strip():
        number += 1
    return number + 1 if number < len(lines) and lines[number].strip() == "-->" else end


def uncommented(line: str) -> str:
    """A line without the mark that makes a comment of it, if it has one."""
    return line[2:] if line.startswith("# ") else line[1:] if line.startswith("#") else line


def _blocks(lines: Iterable[str]) -> Iterable[str]:
    """The lines of a header that belong to the words that are used. The others may be anything."""
    is_used = False
    count = 0
    for line in lines:
        if line.strip() and line[0] not in " \t":
            is_used = bool(_BLOCK.match(line))
        if is_used:
            count += len(line) + 1
            if count > _CHARACTERS:
                raise _error(f"it is longer than {_CHARACTERS // 1024} KiB")
            yield line


def _values(text: str) -> dict[str, _Node]:
    """A mapping in YAML, of which only texts and mappings are kept."""
    root: dict[str, _Node] = {}
    open_: list[dict[str, _Node] | None] = []
    keys: list[str | None] = []
    if text.count("[") + text.count("{") > _BRACKETS:  # of many within each other, PyYAML's time is quadratic
        raise _error("it has too many brackets")
    try:
        for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise _error("it has an anchor, an alias or a tag (&, * or !)")
            if count > _ITEMS or len(open_) > _DEPTH:
                raise _error("it has too many parts")
            if isinstance(event, yaml.CollectionEndEvent):
                open_.pop()
                keys.pop()
            elif isinstance(event, (yaml.CollectionStartEvent, yaml.ScalarEvent)):
                node = _node(event)
                _put(open_, keys, node)
                if not isinstance(event, yaml.ScalarEvent):
                    if not open_ and isinstance(node, dict):
                        root = node
                    open_.append(node if isinstance(node, dict) else None)
                    keys.append(None)
    except yaml.YAMLError as error:
        raise _error("it is not YAML") from error
    return root


def _node(event: yaml.Event) -> _Node | None:
    """An empty mapping, a text, or None for a list."""
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    return {} if isinstance(event, yaml.MappingStartEvent) else None


def _put(open_: list[dict[str, _Node] | None], keys: list[str | None], node: _Node | None) -> None:
    """Put a node into the innermost collection: as a key, or as the value of the key before it."""
    if not open_ or open_[-1] is None:
        return
    key = keys[-1]
    if key is None:
        keys[-1] = node if isinstance(node, str) else ""
        return
    if node is not None:
        open_[-1][key] = node
    keys[-1] = None


def _error(why: str) -> HeaderError:
    return HeaderError(
        f"The header of the file, between the lines with ---, cannot be read: {why}. Let Jupyter or jupytext write it "
        "again, or hand in the .ipynb."
    )


def _dict(values: Mapping[str, _Node], name: str) -> dict[str, _Node]:
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _text(values: Mapping[str, _Node], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) else None


def _markers(text: str | None) -> tuple[str, str] | None:
    """Two short texts; they never become a regular expression."""
    start, comma, end = (text or "").partition(",")
    if not comma or not start or not end or text == "+,-" or len(text or "") > _MARKER_CHARACTERS:
        return None
    return start, end
