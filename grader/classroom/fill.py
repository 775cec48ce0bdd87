"""
Fills points into the instructor's own gradebook, a CSV from Canvas or Moodle. Every other byte stays the same.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from grader.classroom.records import Entry, Owner
from grader.errors import UsageError
from grader.files import write_atomically
from grader.reports.cells import points

__all__ = ["Filled", "fill_gradebook"]

BOM = b"\xef\xbb\xbf"
SIZE_LIMIT_BYTES = 64 * 1024 * 1024
CANVAS_COLUMN = re.compile(r".+ \(\d+\)")
MOODLE_ID = re.compile(r"\D+ (\d+)")
READ_ONLY = re.compile(r"\(\D+\)")
"""In the row of points: `(read only)`, in the language of the site."""
SIS = ("SIS User ID", "SIS Login ID")


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """
    A gradebook that was filled in.

    Attributes:
        path: The file that was written.
        column: The heading of the column that was filled.
        rows: How many rows got points.
        notes: What the instructor should know, in sentences.
    """

    path: Path
    column: str
    rows: int
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Sheet:
    """A CSV as rows of cells with their quotes and line ends: joined again, they are the file."""

    rows: list[list[str]]
    separator: str

    def values(self, row: int) -> list[str]:
        return [_value(cell) for cell in self.rows[row]]

    def __str__(self) -> str:
        return "".join(self.separator.join(row) for row in self.rows)


def fill_gradebook(path: Path, entries: Sequence[Entry], directory: Path, *, column: str | None = None) -> Filled:
    """
    Write `directory/<stem>-filled.csv`, a copy with the students' points.

    Students are found by the platform's id, never by name. No column is added. A row stays the same if its id is
    unknown, if there is no submission, or if the grader failed; so does a cell with a word in it, such as `EX` for an
    excused student. Notes say what stayed, which points were replaced, who has no mark, and whose mark has no row.

    Args:
        path: A gradebook exported by Canvas, or a grading worksheet exported by Moodle.
        column: The heading of the column to fill, if several fit.

    Raises:
        UsageError: The file is neither of these, or does not have exactly one column to fill.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Check the path given with --fill.") from error
    if len(content) > SIZE_LIMIT_BYTES:
        raise UsageError(f"{path} is larger than any gradebook.", "Check the path given with --fill.")
    try:
        text = content.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not in UTF-8.", "Export it again, and do not save it in a spreadsheet.") from error
    sheet = _parse(text)
    header = sheet.values(0) if sheet.rows else []
    identity = _canvas_identity(header)
    if identity is not None:
        filled, notes, place = _fill_canvas(sheet, header, identity, entries, column)
    elif any(MOODLE_ID.fullmatch(sheet.values(row)[0]) for row in range(1, len(sheet.rows))):
        filled, notes, place = _fill_moodle(sheet, header, entries, column)
    else:
        raise UsageError(
            f"{path} is neither a gradebook from Canvas nor a grading worksheet from Moodle.",
            "Export it from the platform, and name that file.",
        )
    target = directory / f"{path.stem}-filled.csv"
    start = BOM if content.startswith(BOM) else b""
    write_atomically(target, start + str(sheet).encode("utf-8"))
    return Filled(target, header[place], filled, tuple(notes))


def _canvas_identity(header: list[str]) -> int | None:
    """The column of Canvas's id: after the student's name, which may have two columns; None if it is not Canvas's."""
    titles = [title.strip() for title in header[:4]]
    if len(header) > 2 and "Student" in titles[0] and "ID" in titles[1]:
        return 1
    names = {title.replace(" ", "").lower() for title in titles[:2]}
    return 2 if len(header) > 3 and names == {"lastname", "firstname"} and titles[2] == "ID" else None


def _fill_canvas(
    sheet: _Sheet, header: list[str], identity: int, entries: Sequence[Entry], column: str | None
) -> tuple[int, list[str], int]:
    possible = [row for row in range(1, min(4, len(sheet.rows))) if _is_points_possible(sheet.values(row), identity)]
    read_only = {
        place for row in possible for place, value in enumerate(sheet.values(row)) if READ_ONLY.fullmatch(value.strip())
    }
    candidates = [
        place for place, title in enumerate(header) if CANVAS_COLUMN.fullmatch(title.strip()) and place not in read_only
    ]
    place = _choose(header, candidates, column)
    by_id = _marks(entries, "canvas")
    by_sis = _marks([entry for entry in entries if entry.owner.platform not in ("canvas", "moodle")], None)
    sis = [header.index(name) for name in SIS if name in header]
    filling, notes = _Filling(sheet, place), list[str]()
    for row in range(1, len(sheet.rows)):
        values = sheet.values(row)
        if row in possible:
            notes += _note_maximum(values[place] if place < len(values) else "", entries, header[place])
            continue
        if len(values) <= max(identity, place):
            continue
        found = by_id.get(values[identity].strip())
        found = found or next((by_sis[values[index]] for index in sis if values[index] in by_sis), None)
        if found is not None:
            filling.fill(row, found, who=values[identity])
        elif values[identity].strip():
            filling.without_mark.append(values[identity].strip())
    return filling.filled, [*notes, *filling.notes([*by_id.values(), *by_sis.values()])], place


def _is_points_possible(values: Sequence[str], identity: int) -> bool:
    """Whether a row says what each column is out of: indented, in the language of the site, and nobody's."""
    first = values[0] if values else ""
    is_nobody = len(values) > identity and not values[identity].strip()
    return first.strip().startswith("Points Possible") or (first.startswith("   ") and is_nobody)


def _fill_moodle(
    sheet: _Sheet, header: list[str], entries: Sequence[Entry], column: str | None
) -> tuple[int, list[str], int]:
    place = _choose(header, [place for place, title in enumerate(header) if title == "Grade"], column)
    maximum = header.index("Maximum Grade") if "Maximum Grade" in header else None
    may_change = header.index("Grade can be changed") if "Grade can be changed" in header else None
    marks = _marks(entries, "moodle")
    filling, notes, locked = _Filling(sheet, place), list[str](), 0
    for row in range(1, len(sheet.rows)):
        values = sheet.values(row)
        match = MOODLE_ID.fullmatch(values[0])
        found = marks.get(match[1]) if match else None
        if len(values) <= place:
            continue
        if found is None:
            filling.without_mark += [values[0]] if match else []
            continue
        if may_change is not None and len(values) > may_change and values[may_change] == "No":
            locked += 1
            filling.met.add(found.owner)
            continue
        if maximum is not None and len(values) > maximum and not notes:
            notes += _note_maximum(values[maximum], [found], header[place])
        filling.fill(row, found, who=values[0])
    notes += filling.notes(marks.values())
    if locked:
        rows = "1 row is locked in Moodle, and was" if locked == 1 else f"{locked} rows are locked in Moodle, and were"
        notes.append(f"{rows} not changed.")
    return filling.filled, notes, place


class _Filling:
    """
    Fills the cells of one column: words stay, and points that were there are replaced and told.

    Attributes:
        filled: How many cells got points.
        without_mark: Who stands in the gradebook and has no mark.
        met: Whose marks belong to a row.
    """

    def __init__(self, sheet: _Sheet, place: int) -> None:
        self._sheet = sheet
        self._place = place
        self._kept = list[str]()
        self._replaced = list[str]()
        self.filled = 0
        self.without_mark = list[str]()
        self.met = set[Owner]()

    def fill(self, row: int, entry: Entry, *, who: str) -> None:
        self.met.add(entry.owner)
        old, new = self._sheet.values(row)[self._place].strip(), points(entry.report.score)
        number = _number(old)
        if number is None and old.strip("-\u2013\u2014"):
            self._kept.append(f"{who}: {old}")
            return
        if number is not None and f"{number:.2f}" != new:
            self._replaced.append(f"{who}: {old} became {new}")
        self._sheet.rows[row][self._place] = _cell(self._sheet.rows[row][self._place], new)
        self.filled += 1

    def notes(self, marks: Iterable[Entry]) -> Iterator[str]:
        """What happened to cells that were not empty, who has no mark, and whose mark has no row, in sentences."""
        if self._kept:
            yield f"Cells with a word in them stay as they are ({_first(self._kept)})."
        if self._replaced:
            yield f"Cells with other points in them were replaced ({_first(self._replaced)})."
        if self.without_mark:
            yield f"Cells of people without a mark stay as they are ({_first(self.without_mark)})."
        rowless = [entry.owner.student for entry in marks if entry.owner not in self.met]
        if rowless:
            yield f"Marks of people who are not in this gradebook were left out ({_first(rowless)})."


def _first(examples: Sequence[str]) -> str:
    more = f"; and {len(examples) - 5} more" if len(examples) > 5 else ""
    return "; ".join(example[:80] for example in examples[:5]) + more


def _number(text: str) -> float | None:
    """The number in a cell, which may have a decimal comma; None if it is none."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _choose(header: list[str], candidates: list[int], column: str | None) -> int:
    if column is not None:
        candidates = [place for place, title in enumerate(header) if title.strip() == column.strip()]
    if len(candidates) != 1:
        titles = ", ".join(repr(header[place]) for place in candidates) or "none"
        raise UsageError(f"Which column to fill is unclear (found: {titles}).", "Name its heading with --fill-column.")
    return candidates[0]


def _marks(entries: Sequence[Entry], platform: str | None) -> Mapping[str, Entry]:
    """The entries that have a mark, by the student's id."""
    return {
        entry.owner.student: entry
        for entry in entries
        if platform in (None, entry.owner.platform) and not entry.report.is_undecided
    }


def _note_maximum(text: str, entries: Sequence[Entry], title: str) -> Iterator[str]:
    maximum = max((entry.report.max_score for entry in entries), default=0.0)
    column_maximum = _number(text)
    if column_maximum is not None and column_maximum != maximum:
        yield (
            f"{title!r} is out of {column_maximum:g} points, but the assignment is out of {maximum:g}: "
            "the points were not scaled."
        )


# -------------------------------------------------------------------------------------------------------------- CSV


def _parse(text: str) -> _Sheet:
    """Split a CSV into cells, quotes and line ends kept."""
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    cell = rf'"(?:[^"]|"")*"[^{separator}\r\n]*|[^{separator}\r\n]*'
    pattern = re.compile(rf"(?P<cell>{cell})(?P<end>{separator}|\r\n|\n|\r|\Z)")
    rows, row, place = list[list[str]](), list[str](), 0
    while place < len(text):
        match = pattern.match(text, place)
        if match is None:
            raise UsageError("The CSV to fill has a quote that never ends.", "Export it from the platform again.")
        place = match.end()
        if match["end"] == separator:
            row.append(match["cell"])
            if place < len(text):
                continue
            row.append("")
        else:
            row.append(match["cell"] + match["end"])
        rows.append(row)
        row = []
    return _Sheet(rows, separator)


def _value(cell: str) -> str:
    bare = cell.rstrip("\r\n")
    if len(bare) > 1 and bare.startswith('"') and bare.endswith('"'):
        return bare[1:-1].replace('""', '"')
    return bare


def _cell(old: str, value: str) -> str:
    """A cell with a new value, and with the quotes and the line end of the old one."""
    bare = old.rstrip("\r\n")
    quote = '"' if bare.startswith('"') else ""
    return f"{quote}{value}{quote}{old[len(bare) :]}"
