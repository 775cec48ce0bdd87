"""
What a file is that is not a notebook: a sentence for whoever handed it in.
"""

from __future__ import annotations

import json
import re

__all__ = ["what_it_is", "why_no_json", "why_no_notebook"]

_NOT_A_NOTEBOOK = "The file is not a notebook: "
_STARTS = (
    (rb"\s*<(?:!doctype html|html|head|body|script|meta)\b", "a web page"),
    (rb"%PDF-", "a PDF"),
    (rb"PK\x03\x04", "a zip archive or an office document"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "a picture"),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!", "a compressed archive"),
    (rb"\{\\rtf", "an RTF document"),
)
_HELP = " Download the notebook itself (in Jupyter: File, Download), and hand in the .ipynb."
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/")
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)


def what_it_is(start: bytes, *, is_text: bool) -> str:
    """
    What a file is by its first bytes, if that is no notebook; otherwise an empty text.

    Args:
        is_text: Its name says that it is a notebook in text form, which may begin with HTML.
    """
    start = start.removeprefix(b"\xef\xbb\xbf")
    if _POINTER.match(start):
        return f"{_NOT_A_NOTEBOOK}it is a pointer of Git LFS. Hand in the notebook that it points to."
    for pattern, name in _STARTS[1:] if is_text else _STARTS:
        if re.match(pattern, start, re.IGNORECASE):
            return f"{_NOT_A_NOTEBOOK}it is {name}. Did you upload the wrong file?{_HELP}"
    return ""


def why_no_json(text: str, error: json.JSONDecodeError) -> str:
    """Why the JSON of a notebook cannot be read."""
    if _CONFLICT.search(text):
        line = text.count("\n", 0, error.pos) + 1
        return (
            f"{_NOT_A_NOTEBOOK}it contains the marks of a merge conflict in Git (near line {line}). Resolve the "
            "conflict, and hand in the result."
        )
    if error.msg == "Extra data":
        return (
            f"{_NOT_A_NOTEBOOK}there is more text after its end, at line {error.lineno}, as if two files had been "
            "joined. Hand in one of them."
        )
    if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
        return "The file is incomplete: it was cut off when it was saved or uploaded. Upload it again."
    if not text.lstrip().startswith(("{", "[")):
        return f"{_NOT_A_NOTEBOOK}it is text of another kind. Was the file renamed?{_HELP}"
    return f"{_NOT_A_NOTEBOOK}its JSON is broken at line {error.lineno}."


def why_no_notebook(content: object) -> str:
    """Why JSON is not a notebook."""
    if isinstance(content, list) and any(isinstance(each, dict) and "cells" in each for each in content):
        return f"{_NOT_A_NOTEBOOK}it is a list of notebooks. Hand in one of them."
    if isinstance(content, dict) and ({"doc_id", "url"} & content.keys()) and len(content) < 10:
        return f"{_NOT_A_NOTEBOOK}it is a link to one in a cloud.{_HELP}"
    return "The file is JSON, but not a notebook: it has no cells."
