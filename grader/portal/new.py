"""
Writes a new course: a folder with `course.toml`, ready to be changed.
"""

from __future__ import annotations

from pathlib import Path

from grader import shipped
from grader.assignment.find import find_sources, solutions_directory
from grader.errors import UsageError
from grader.files import write_atomically
from grader.portal.course import FILE

__all__ = ["write_course"]

HEAD = """title = "{title}"

# The address of the portal as browsers see it. Leave it out to try the portal on this machine.
# address = "https://grader.school.example"

# A CSV with the columns student, name, email and role (student or staff).
roster = "roster.csv"
{solutions}"""

ASSIGNMENT = """
[[assignment]]
id = "{id}"
# opens = 2026-10-01T08:00:00+02:00
# due = 2026-10-15T23:59:00+02:00
# closes = 2026-10-22T23:59:00+02:00
# late = {{ percent_per_day = 10, at_most_percent = 50 }}
# attempts = 10
# cool_down_minutes = 5
# counts = "best"  # or "last"
# release = 2026-10-23T08:00:00+02:00
"""

ROSTER = """student,name,email,role
{staff},Instructor,,staff
"""


def write_course(folder: Path, *, title: str, staff: str, solutions: Path | None) -> list[Path]:
    """
    Write `course.toml` and a roster with one instructor.

    Args:
        staff: The id of the instructor.
        solutions: The folder of source notebooks; None for those of the grader.

    Returns:
        list: The files.

    Raises:
        UsageError: The folder has a course already, or cannot be written to.
    """
    if (folder / FILE).exists():
        raise UsageError(f"There is a course in {folder} already.", "Name another folder.")
    ids = list(shipped.ORDER) if solutions is None else list(find_sources(solutions_directory(solutions)))
    line = "" if solutions is None else f"\n# The folder of source notebooks.\nsolutions = '{solutions.absolute()}'\n"
    escaped = title.replace("\\", "\\\\").replace('"', '\\"')
    text = HEAD.format(title=escaped, solutions=line) + "".join(ASSIGNMENT.format(id=each) for each in ids)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FILE, text)
        if not (folder / "roster.csv").exists():
            write_atomically(folder / "roster.csv", ROSTER.format(staff=staff))
    except OSError as error:
        raise UsageError(f"The course cannot be written to {folder} ({error.strerror}).", "Name another.") from error
    return [folder / FILE, folder / "roster.csv"]
