"""
Where the settings of a source notebook are written: in which line, and whether twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import yaml
from nbformat import NotebookNode

__all__ = ["HEADER", "lines_of_settings", "written_twice"]

HEADER = -1
"""Stands for the notebook's own settings, beside the indices of its cells."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")


def lines_of_settings(text: str, notebook: NotebookNode) -> dict[int, Mapping[str, int]]:
    """
    The line of the file where each setting is written, by its name, for each code cell and for `HEADER`.

    Args:
        text: That of the source notebook.
    """
    header, *blocks = _blocks(text)
    cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    if len(cells) != len(blocks):  # a text has a cell in it, as an example
        blocks = []
    found: dict[int, Mapping[str, int]] = {HEADER: _settings(*header)}
    return found | {index: _settings(*block) for index, block in zip(cells, blocks, strict=False)}


def written_twice(text: str) -> tuple[str, int, int] | None:
    """The first setting that is written twice in one place, and both lines; None if there is none."""
    for block, line in _blocks(text):
        root = _composed(block)
        for name, first, second in _doubles(root) if root is not None else ():
            return name, line + first, line + second
    return None


def _blocks(text: str) -> Iterator[tuple[str, int]]:
    """The YAML of the header and of each code cell, with the line of the file, from 1, where it begins."""
    lines = text.split("\n")
    end = lines.index("---", 1) if lines[0] == "---" and "---" in lines[1:] else 1
    yield "\n".join(lines[1:end]), 2
    fence = ""
    for number in range(end, len(lines)):
        match = _FENCE.match(lines[number])
        if match is None or fence:
            is_end = match is not None and match.group(1).startswith(fence) and not match.group(2).strip()
            fence = "" if is_end else fence
            continue
        fence = match.group(1)
        if not match.group(2).startswith("{code-cell}"):
            continue
        begin = number + 1
        if begin < len(lines) and lines[begin] == "---" and "---" in lines[begin + 1 :]:
            yield "\n".join(lines[begin + 1 : lines.index("---", begin + 1)]), begin + 2
        else:
            last = begin
            while last < len(lines) and lines[last].startswith(":"):
                last += 1
            yield "\n".join(line[1:] for line in lines[begin:last]), begin + 1


def _composed(block: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(block, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # whoever reads it says so
        return None
    return node


def _settings(block: str, line: int) -> dict[str, int]:
    root = _composed(block)
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "grader" and isinstance(value, yaml.MappingNode):
            lines = {str(name.value): line + name.start_mark.line for name, _ in value.value}
            return {"grader": line + key.start_mark.line, **lines}
        if key.value == "grader":
            return {"grader": line + key.start_mark.line}
    return {}


def _doubles(node: yaml.Node, around: tuple[int, ...] = ()) -> Iterator[tuple[str, int, int]]:
    """The keys that one mapping has twice, with the places of both, in lines of the block."""
    if id(node) in around:  # an alias of what it is in
        return
    around = (*around, id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _doubles(item, around)
    if isinstance(node, yaml.MappingNode):
        known: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in known:
                yield name, known[name], key.start_mark.line
            known[name] = key.start_mark.line
            yield from _doubles(value, around)
