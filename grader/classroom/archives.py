"""
Lists the files of a folder or a zip archive, whose contents may be hostile.

Nothing is ever unpacked to disk. A file is opened only to read it. Only regular files are read, never through a link,
and never more bytes than a notebook may have, whatever size the archive claims.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import io
import os
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from grader.classroom.records import File, Problem
from grader.errors import UsageError
from grader.files import check_exists
from grader.notebook.read import DEPTH_LIMIT, FILE_LIMIT_BYTES, Unreadable

__all__ = ["FILES_LIMIT", "find_repositories", "open_archive_in", "open_file", "open_tree"]

FILES_LIMIT = 50_000
MOST_LISTED = 1_000_000
HANDED_IN_LIMIT = 1_000
MEMBERS_LIMIT = 20_000
"""How many members an archive may have that somebody handed in, with those that are not looked at."""
ENTRY = b"PK\x01\x02"
"""How each entry in an archive's list of members begins."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""No platform uses other methods, and some need gigabytes of memory to unpack."""
JUNK = ("__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini")
WINDOWS = (0, 10, 11)
"""What a zip archive from Windows says of the system that it was made on."""
UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
REPOSITORY = (".git", ".github", ".classroom50.yaml")
"""What lies at the top of a checkout."""
REPOSITORY_DEPTH = 4
DAMAGED = "The file cannot be unpacked: this part of the archive is damaged ({})."
LINK = "It is a link, and was not followed."


def open_file(path: Path) -> File:
    """A file that the instructor named; if it is a link, the file that it leads to."""
    path = path.resolve()
    return File(_clean(path.name), path.stat().st_mtime, functools.partial(_read_file, path))


def open_tree(path: Path) -> tuple[list[File], list[Problem]]:
    """
    List the files of a folder or a zip archive, sorted by name, and the problems with the refused ones.

    Raises:
        UsageError: There is no such path, it is neither a folder nor a zip archive, or it has too many files.
    """
    check_exists(path)
    if path.is_dir():
        files, problems = _walk(path)
    else:
        files, problems = _list(_opened(path))
    if FILES_LIMIT < len(files) <= MOST_LISTED:
        files, left_out = _without_crowds(files)
        problems += left_out
    if len(files) > FILES_LIMIT:
        raise UsageError(f"{path} contains more than {FILES_LIMIT:,} files.", "Name a smaller part of it.")
    return sorted(files, key=lambda file: file.name), problems


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UsageError(
            f"{path} is not a zip archive that can be read ({error}).", "Download it from the platform again."
        ) from error


def find_repositories(path: Path) -> list[str]:
    """
    The checkouts of repositories in a folder or a zip archive: the outermost ones below the top.

    Raises:
        UsageError: It is an archive that cannot be read.
    """
    return sorted(_repositories_in(path) if path.is_dir() else _repositories_of(_opened(path)))


def _repositories_in(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        if inside.parts and {*folders, *names} & {*REPOSITORY}:
            yield _clean(inside.as_posix())
            folders.clear()
        folders[:] = [name for name in folders if not _is_junk(name) and len(inside.parts) < REPOSITORY_DEPTH]


def _repositories_of(archive: zipfile.ZipFile) -> set[str]:
    found = set()
    for member in archive.infolist()[: MOST_LISTED + 1]:
        parts = PurePosixPath(_clean(_decoded(member))).parts
        place = next((place for place, part in enumerate(parts[1:], start=1) if part in REPOSITORY), None)
        if place is not None and place <= REPOSITORY_DEPTH:
            found.add("/".join(parts[:place]))
    return {name for name in found if not any(name.startswith(f"{outer}/") for outer in found)}


def open_archive_in(file: File) -> tuple[list[File], list[Problem]]:
    """
    List the files of a zip archive that somebody handed in, sorted by name, and the problems with the refused ones.

    The archive is not kept in memory: it is read again for each of its files.
    """
    archive = _opened_within(file)
    if isinstance(archive, Unreadable):
        return [], [Problem(file.name, archive.problem)]
    files, problems = _list(archive)
    if len(files) + len(problems) > HANDED_IN_LIMIT:
        return [], [Problem(file.name, f"It contains more than {HANDED_IN_LIMIT:,} files.")]
    inside = [
        File(f"{file.name}/{member.name}", member.modified, functools.partial(_read_within, file, member.name))
        for member in sorted(files, key=lambda member: member.name)
    ]
    return inside, [dataclasses.replace(problem, where=f"{file.name}/{problem.where}") for problem in problems]


def _opened_within(file: File) -> zipfile.ZipFile | Unreadable:
    """
    A zip archive that somebody handed in.

    Its members are counted before any is listed: an entry of 47 bytes takes some 500 in memory, and they compress well.
    """
    content = file.read()
    if isinstance(content, Unreadable):
        return content
    if content.count(ENTRY) > MEMBERS_LIMIT:
        return Unreadable(f"It contains more than {MEMBERS_LIMIT:,} files.")
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        return Unreadable(f"It is not a zip archive that can be read ({_clean(str(error))[:200]}).")


def _read_within(file: File, name: str) -> bytes | Unreadable:
    archive = _opened_within(file)
    if isinstance(archive, Unreadable):
        return archive
    members = {member.name: member for member in _list(archive)[0]}
    return members[name].read() if name in members else Unreadable("The archive has changed while it was being read.")


# ---------------------------------------------------------------------------------------------------------- folders


def _walk(folder: Path) -> tuple[list[File], list[Problem]]:
    files, problems = list[File](), list[Problem]()

    def note(error: OSError) -> None:
        problems.append(Problem(_clean(str(error.filename)), f"It cannot be opened ({error.strerror})."))

    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        if folders and len(Path(place).relative_to(folder).parts) >= DEPTH_LIMIT:
            shown = _clean(Path(place).relative_to(folder).as_posix())
            problems.append(
                Problem(shown, f"It is in more than {DEPTH_LIMIT} folders, and what is in it was not read.")
            )
            folders.clear()
        for name in (*folders, *sorted(names)):
            path = Path(place, name)
            shown = _clean(path.relative_to(folder).as_posix())
            if _is_junk(name):
                continue
            try:
                status = path.lstat()
            except OSError as error:
                problems.append(Problem(shown, f"It cannot be examined ({error.strerror})."))
                continue
            if stat.S_ISREG(status.st_mode):
                files.append(File(shown, status.st_mtime, functools.partial(_read_file, path)))
            elif not stat.S_ISDIR(status.st_mode):
                is_link = stat.S_ISLNK(status.st_mode)
                problems.append(Problem(shown, LINK if is_link else "It is not an ordinary file, and was not read."))
        if len(files) > MOST_LISTED:
            break
    return files, problems


def _without_crowds(files: list[File]) -> tuple[list[File], list[Problem]]:
    """Leave out folders of more files than anybody hands in, at the first level with several: one student's."""
    depth = len(PurePosixPath(os.path.commonpath([PurePosixPath(file.name).parent for file in files])).parts) + 1
    units = [PurePosixPath(file.name).parts[:depth] for file in files]
    crowds = {unit for unit, number in Counter(units).items() if number > HANDED_IN_LIMIT}
    kept = [file for file, unit in zip(files, units, strict=True) if unit not in crowds]
    message = f"It contains more than {HANDED_IN_LIMIT:,} files, and was not read."
    return (kept, [Problem("/".join(unit), message) for unit in sorted(crowds)]) if kept else (files, [])


def _read_file(path: Path) -> bytes | Unreadable:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - of a descriptor
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Unreadable("It is not an ordinary file.")
            return file.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        return Unreadable(f"The file cannot be read ({error.strerror}).")


# --------------------------------------------------------------------------------------------------------- archives


def _list(archive: zipfile.ZipFile) -> tuple[list[File], list[Problem]]:
    files, problems = dict[str, File](), list[Problem]()
    for member in archive.infolist()[: MOST_LISTED + 1]:
        name = _decoded(member)
        shown = _clean(name)
        refusal = _refusal(name, member)
        if name.endswith("/") or any(
            _is_junk(part) for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")
        ):
            continue
        if refusal:
            problems.append(Problem(shown, refusal))
            continue
        if shown in files:
            problems.append(Problem(shown, "The archive contains several files with this name: the last one counts."))
        files[shown] = File(shown, _time(member), functools.partial(_read_member, archive, member))
    return list(files.values()), problems


def _refusal(name: str, member: zipfile.ZipInfo) -> str:
    parts = name.replace("\\", "/").split("/")
    if "\0" in name:
        return "Its name contains a null character, so it was not read."
    if not name:
        return "It has no name, so it was not read."
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0][1:2]:
        return "Its name leads out of the archive, so it was not read."
    if stat.S_ISLNK(member.external_attr >> 16):
        return LINK
    if member.flag_bits & ENCRYPTED_FLAG:
        return "It is encrypted."
    if member.compress_type not in METHODS:
        return "It is compressed by a method that no platform uses, so it was not read."
    return ""


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | Unreadable:
    try:
        with archive.open(member) as file:
            return file.read(FILE_LIMIT_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        return Unreadable(DAMAGED.format(_clean(str(error))[:200]))


def _decoded(member: zipfile.ZipInfo) -> str:
    """
    A member's name. macOS writes UTF-8 without the flag for it, and zipfile then reads it as code page 437.

    Some programs on Windows put backslashes between folders. Elsewhere, a backslash is a part of a name.
    """
    name = member.orig_filename
    if not member.flag_bits & UTF8_FLAG:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/") if member.create_system in WINDOWS else name


def _time(member: zipfile.ZipInfo) -> float:
    try:
        return dt.datetime(*member.date_time, tzinfo=dt.timezone.utc).timestamp()
    except ValueError:
        return 0.0


# ------------------------------------------------------------------------------------------------------------ names


def _is_junk(name: str) -> bool:
    return name.startswith((".", "~")) or name in JUNK


def _clean(name: str) -> str:
    """A name that can be shown, stored and compared: in one Unicode form, with bytes that are no text escaped."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode("utf-8"))
