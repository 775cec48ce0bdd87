"""
Reads `course.toml`: which assignments a course has, and the rules for handing them in.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from grader import shipped
from grader.assignment.find import find_assignment, solutions_directory
from grader.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["FILE", "Course", "Late", "Offer", "course_schema", "open_course"]

FILE = "course.toml"
SCHEMA = "grader.course/1"
PORTS = {"http": 80, "https": 443}
"""The ports that browsers leave out."""

PLAIN = {
    "Object contains unknown field": "There is no setting",
    "Object missing required field": "There is no",
}

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotation marks",
    "datetime | null": "a date and time, as in 2026-12-04T18:00:00+01:00",
    "object": "a table",
    "array": "a list",
}
"""What msgspec calls types, and what people do."""

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Late(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What a late attempt loses.

    Attributes:
        percent_per_day: The share of the points that each day that has begun costs.
        at_most_percent: The largest share that lateness costs.
    """

    percent_per_day: Percent = 0.0
    at_most_percent: Percent = 100.0

    def factor(self, late: dt.timedelta) -> float:
        """The share of the points that is left, between 0 and 1, of an attempt that is late by this much."""
        if late <= dt.timedelta(0):
            return 1.0
        days = -(-late // dt.timedelta(days=1))
        return 1.0 - min(days * self.percent_per_day, self.at_most_percent) / 100


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    An assignment of a course, and its rules. Moments have an offset from UTC.

    Attributes:
        opens: From then on, students see it and hand in; None for always.
        due: What arrives later is late; None for never.
        closes: What arrives later is refused; None for never.
        attempts: How many attempts count; 0 for any number. Attempts at which the grader failed do not count.
        cool_down_minutes: How long a student waits after an attempt before the next one.
        counts: Which attempt is the mark.
        release: Until then, students' reports have no marks; None for what the source notebook says.
    """

    id: Text
    opens: dt.datetime | None = None
    due: dt.datetime | None = None
    closes: dt.datetime | None = None
    late: Late = Late()
    attempts: Count = 0
    cool_down_minutes: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 0.0
    counts: Literal["best", "last"] = "best"
    release: dt.datetime | None = None


class Course(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    A course.

    Attributes:
        address: The portal's address as browsers see it, such as `https://grader.school.example`; empty on loopback.
        solutions: The folder of source notebooks, relative to the course's folder; empty for those of the grader.
        roster: A CSV with the columns student, name, email and role, relative to the course's folder; empty for none.
        gradebook: A file in the course's folder, or a database URL. The variable `GRADER_GRADEBOOK` replaces it.
    """

    title: Text
    assignment: list[Offer] = []
    address: str = ""
    solutions: str = ""
    roster: str = ""
    gradebook: str = "gradebook.db"
    require_sandbox: Literal["none", "process", "filtered", "isolated"] = "none"

    def offer(self, assignment_id: str) -> Offer | None:
        """The assignment with this id, if the course has it."""
        return next((offer for offer in self.assignment if offer.id == assignment_id), None)

    def sources(self, folder: Path) -> dict[str, Path]:
        """
        The source notebook of each assignment, by id.

        Args:
            folder: The course's folder.

        Raises:
            UsageError: One of them does not exist.
        """
        directory = folder / self.solutions if self.solutions else shipped.solutions()
        if not directory.is_dir():
            raise UsageError(f"There is no folder {directory}.", f"Correct `solutions` in {folder / FILE}.")
        return {offer.id: find_assignment(offer.id, solutions_directory(directory)) for offer in self.assignment}


CHOICES = {
    name: get_args(hint)
    for struct in (Course, Offer)
    for name, hint in get_type_hints(struct).items()
    if get_origin(hint) is Literal
}
"""The settings that are one of a few words."""


def open_course(folder: Path) -> Course:
    """
    Read and check a course's file.

    Raises:
        UsageError: It does not exist, or breaks a rule; the message names the line.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}).", f"`grader course new {folder}` writes one."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not in UTF-8.", "Save it as UTF-8.") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.", "Correct that line.") from error
    try:
        course = msgspec.convert(content, Course)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        is_of_the_whole = message.startswith("Object missing") and not where
        place = f"{path}" if is_of_the_whole else f"{path}, line {_line(text, where.strip('`'), message)}"
        raise UsageError(f"{place}: {_plainly(message, where)}.", _suggestion(message)) from error
    _check(course, path, text)
    return course


def course_schema() -> dict[str, Any]:
    """The JSON schema of `course.toml`, for editors."""
    schema = msgspec.json.schema(Course)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def _check(course: Course, path: Path, text: str) -> None:
    seen = set[str]()
    for index, offer in enumerate(course.assignment):
        place = f"$.assignment[{index}]"
        if offer.id in seen:
            raise UsageError(
                f"{path}, line {_line(text, f'{place}.id')}: The assignment {offer.id!r} is listed twice.",
                "Remove one.",
            )
        seen.add(offer.id)
        moments = {name: getattr(offer, name) for name in ("opens", "due", "closes", "release")}
        for name, moment in moments.items():
            if moment is not None and moment.utcoffset() is None:
                raise UsageError(
                    f"{path}, line {_line(text, f'{place}.{name}')}: `{name}` has no time zone.",
                    "Add the offset from UTC, as in 2026-12-04T18:00:00+01:00.",
                )
        for first, second in (("opens", "due"), ("due", "closes"), ("opens", "closes")):
            before, after = moments[first], moments[second]
            if before is not None and after is not None and before > after:
                raise UsageError(
                    f"{path}, line {_line(text, f'{place}.{second}')}: `{second}` is before `{first}`.",
                    "Change one of the two.",
                )
    if course.address and not _is_address(course.address):
        raise UsageError(
            f"{path}, line {_line(text, '$.address')}: {course.address!r} is not an address of a portal.",
            "Write it as in https://grader.school.example: in small letters, without a path or the usual port.",
        )


def _is_address(address: str) -> bool:
    """Whether browsers and learning platforms can use an address, and write it like this."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", address):
        return False
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_here = host in ("localhost", "::1") or host.startswith("127.")
    written = f"[{host}]" if ":" in host else host
    if port not in (None, PORTS[parts.scheme]):
        written += f":{port}"
    return bool(host) and address == f"{parts.scheme}://{written}" and (parts.scheme == "https" or is_here)


def _line(text: str, where: str, message: str = "") -> int:
    r"""
    The line of a value that a path such as `$.assignment[1].due` names.

    >>> _line('title = "a"\n[[assignment]]\nid = "b"\n[[assignment]]\ndue = 3', "$.assignment[1].due")
    5
    """
    unknown = re.search(r"(?:field|missing required field) `(\w+)`", message)
    index = re.search(r"\[(\d+)\]", where)
    names = re.findall(r"\.(\w+)", re.sub(r"\[\d+\]", "", where))
    wanted = [name for name in names if name != "assignment"] + ([unknown[1]] if unknown else [])
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines, 1) if re.match(r"\s*\[\[\s*assignment\s*\]\]", line)]
    first = heads[int(index[1])] if index and int(index[1]) < len(heads) else 1
    last = next((head - 1 for head in heads if head > first), len(lines)) if index else len(lines)
    for name in reversed(wanted):
        for number in range(first, last + 1):
            if re.match(rf"\s*(?:\[.*)?{name}\b", lines[number - 1]) or re.search(
                rf"[{{,]\s*{name}\s*=", lines[number - 1]
            ):
                return number
    return first


def _plainly(message: str, where: str) -> str:
    for theirs, ours in PLAIN.items():
        if message.startswith(theirs):
            return message.replace(theirs, ours)
    name = re.sub(r"^\$\.?|^assignment\[\d+\]\.?", "", where.strip("`").removeprefix("$."))
    return f"`{name}` must {_must(name, message)}" if name else message


def _must(name: str, message: str) -> str:
    """
    What a value must be.

    Args:
        message: What msgspec says about it.

    >>> _must("late.percent_per_day", "Expected `float` <= 100.0")
    'be a number that is at most 100'
    """
    if name in CHOICES:
        return f"be {' or '.join(CHOICES[name])}"
    found = re.match(r"Expected `([^`]+)`(?: of length)?(?: ([<>]=) ([\d.]+))?", message)
    kind, sign, bound = found.groups() if found else ("datetime | null", None, None)
    if kind == "str" and sign:
        return "not be empty" if sign == ">=" else f"have at most {bound} characters"
    limit = f" that is at {'least' if sign == '>=' else 'most'} {float(bound):,g}" if bound else ""
    return f"be {KINDS.get(kind, kind)}{limit}"


def _suggestion(message: str) -> str:
    import difflib

    unknown = re.search(r"unknown field `(\w+)`", message)
    known = sorted({*Course.__struct_fields__, *Offer.__struct_fields__, *Late.__struct_fields__})
    if unknown:
        near = difflib.get_close_matches(unknown[1], known, n=1)
        return f"Do you mean `{near[0]}`?" if near else f"The settings are {', '.join(known)}."
    missing = re.search(r"missing required field `(\w+)`", message)
    return f"Add it: {missing[1]} = …" if missing else "Correct that line."
