"""
Changed zip archives of classes: what a platform exports, and what students hand in.

Gathering ends with submissions and problems, or with an error for the instructor: never with another exception.
"""

from __future__ import annotations

import contextlib
import io
import random
import struct
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

from grader.classroom import submissions
from grader.classroom.submissions import gather
from grader.errors import UsageError
from grader.execution.record import Reading
from grader.model import Submission
from grader.notebook.functions import find_functions
from grader.notebook.read import Unreadable, read_notebook
from tests.fuzz.files import EXERCISES, changed_file, prepare_seeds
from tests.fuzz.running import Fuzzer, Step
from tests.fuzz.values import changed_bytes, hostile_text

__all__ = ["ARCHIVES"]

_SECONDS = 8.0
_MEMORY = 300_000_000
_NAMES = (
    "alice_12_345_two.ipynb",
    "alice_12_346_two-1.ipynb",
    "bobby_LATE_13_347_two.py",
    "carol_14_348_work.zip",
    "Alice A_1234_assignsubmission_file_/two.ipynb",
    "Bob B_1235_assignsubmission_file_/work.zip",
    "Bob B_1235_assignsubmission_onlinetext_/onlinetext.html",
    "submitted/alice/two/two.ipynb",
    "submitted/alice/two/timestamp.txt",
    "submission_metadata.yml",
    "assignment_1_export/submission_1/two.ipynb",
    "two-alice/.git/config",
    "two-alice/two.ipynb",
    "alice.ipynb",
    "alice.ipynb.txt",
    "alice (1).ipynb",
    "alice.md",
    "folder/",
    "folder",
    "folder/a.ipynb",
)
_ODD_NAMES = (
    "../../../etc/cron.d/a.ipynb",
    "/etc/a.ipynb",
    "C:\\a.ipynb",
    "a\\..\\..\\b.ipynb",
    "./a.ipynb",
    "a//b.ipynb",
    "a\0b.ipynb",
    "\x1b[2Ja.ipynb",
    "\u202egnp.ipynb",
    "::error::a.ipynb",
    "=1+1.ipynb",
    "-rf.ipynb",
    "é.ipynb",
    "e\u0301.ipynb",
    "a" * 3_000 + ".ipynb",
    "/".join("a" * 500) + ".ipynb",
    ".ipynb",
    "..",
    "",
    " ",
    "CON.ipynb",
    "a_1_2_b_3_4_c.ipynb",
    "_1_2_.ipynb",
    "submission_metadata.yml/x.ipynb",
    "__MACOSX/._a.ipynb",
)
_YAML = (
    b"a: &a [1]\nb: [*a, *a]\n",
    b"submission_1:\n  :submitters:\n  - :name: A\n    :sid: 1\n    :email: a@b\n  :created_at: 2024-01-01 00:00:00\n",
    b"submission_1: [[[[[",
    b"- " * 3_000,
    b"{" * 3_000,
    b"!!python/object/apply:os.system ['id']",
    b"submission_1:\n  :submitters: 7\n",
    b"\xff\xfe",
)


def _script(rng: random.Random) -> list[Step]:
    kinds = rng.choices(
        ("add", "odd", "bomb", "nested", "link", "flags", "twice", "yaml", "bytes", "ends"),
        (8, 3, 0.3, 1, 0.5, 1, 0.5, 1, 1, 1),
        k=12,
    )
    return [(kind, rng.getrandbits(32)) for kind in kinds[: rng.choice((1, 3, 6, 12))]]


def _content(rng: random.Random) -> bytes:
    steps: list[Step] = [("take", rng.randrange(10_000))]
    if rng.random() < 0.3:
        steps.append((rng.choice(("lines", "code", "bytes")), rng.getrandbits(32)))
    return changed_file(steps).content


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Two members may have one name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _archive(steps: Sequence[Step], depth: int = 1) -> bytes:
    """The archive that a script makes."""
    buffer = io.BytesIO()
    after: list[Step] = []
    with _without_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for kind, argument in steps:
            rng = random.Random(argument)
            with contextlib.suppress(UnicodeError, ValueError, struct.error):
                if kind in ("bytes", "ends", "flags"):
                    after.append((kind, argument))
                else:
                    _add(archive, kind, rng, depth)
    content = buffer.getvalue()
    for kind, argument in after:
        content = _damaged(content, kind, random.Random(argument))
    return content


def _add(archive: zipfile.ZipFile, kind: str, rng: random.Random, depth: int) -> None:
    name = rng.choice(_ODD_NAMES if kind == "odd" else _NAMES)
    if kind == "odd" and rng.random() < 0.3:
        name = rng.choice(_NAMES).replace("a", hostile_text(rng)[:2_000], 1)
    member = zipfile.ZipInfo(name or "a", date_time=rng.choice(((2024, 1, 1, 0, 0, 0), (1980, 0, 0, 31, 63, 62))))
    member.compress_type = rng.choice((zipfile.ZIP_DEFLATED,) * 6 + (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    if kind == "bomb":
        archive.writestr(member, bytes(20_000_000))
    elif kind == "link":
        member.external_attr = rng.choice((0o120777, 0o020777, 0o040777, 0o177777)) << 16
        archive.writestr(member, b"/etc/passwd")
    elif kind == "yaml":
        archive.writestr("submission_metadata.yml", rng.choice(_YAML))
    elif kind == "twice":
        archive.writestr(member, _content(rng))
        archive.writestr(member, _content(rng))
    elif kind == "nested" or name.endswith(".zip"):
        member.filename = name if name.endswith(".zip") else f"{name}.zip"
        inside: list[Step] = [(rng.choice(("add", "odd", "link", "bomb")), rng.getrandbits(32)) for _ in range(3)]
        if rng.random() < 0.3:
            inside.append(("bytes", rng.getrandbits(32)))
        archive.writestr(member, _archive(inside, depth - 1) if depth else b"PK\5\6" + bytes(18))
    else:
        archive.writestr(member, _content(rng))


def _damaged(content: bytes, kind: str, rng: random.Random) -> bytes:
    """The archive with other bytes, above all in its list of members and at its end."""
    if kind == "bytes":
        return changed_bytes(content, rng)
    damaged = bytearray(content)
    start = content.find(b"PK\1\2")
    if kind == "flags" and start >= 0:
        offset, size = rng.choice(
            ((8, 2), (10, 2), (12, 4), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (38, 4), (42, 4))
        )
        number = rng.choice((0, 1, 8, 9, 12, 14, 0x800, 0xFFFF, 2**31, 2**32 - 1)) & (256**size - 1)
        damaged[start + offset : start + offset + size] = number.to_bytes(size, "little")
    else:
        end = content.rfind(b"PK\5\6")
        for _ in range(rng.choice((1, 2)) if end >= 0 else 0):
            damaged[rng.randrange(end, len(damaged))] = rng.choice((0, 1, 0xFF, 0x80))
    return bytes(damaged)


def _read_here(submission: Submission, exercises: Sequence[str] = ()) -> Reading | Unreadable:
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        return notebook
    return Reading(notebook=notebook, functions=find_functions(notebook, exercises))


def _run(script: Sequence[Step]) -> Sequence[str]:
    with tempfile.TemporaryDirectory(prefix="grader-fuzz-") as folder:
        path = Path(folder, "class.zip")
        path.write_bytes(_archive(script))
        is_memory_watched = len(script) == 3
        if is_memory_watched:
            tracemalloc.start()
        started = time.process_time()
        try:
            return _gathered(path)
        except UsageError as error:
            said = str(error).encode().decode()
            return [f"refused: {said.replace(folder, '')[:40]}"]
        finally:
            used = time.process_time() - started
            memory = tracemalloc.get_traced_memory()[1] if is_memory_watched else 0
            tracemalloc.stop()
            assert used < _SECONDS * (4 if is_memory_watched else 1), f"it took {used:.1f} s of processor time"
            assert memory < _MEMORY, f"it took {memory:,} bytes of memory"
            assert [each.name for each in Path(folder).iterdir()] == ["class.zip"]


def _gathered(path: Path) -> list[str]:
    found = gather([path])
    with mock.patch.object(submissions, "read_alone", _read_here):
        roster = found.settle("two_layer_mse", EXERCISES)
    for received in roster.received:
        submission = received.read()
        assert isinstance(submission, (Submission, Unreadable))
        for text in (received.name, received.file.name, received.owner.student, received.display):
            text.encode()
        assert "/" not in received.name
        assert ".." not in Path(received.file.name).parts
        assert not received.file.name.startswith("/")
    for problem in (*found.problems, *roster.problems):
        assert problem.message.encode()
        problem.where.encode()
    owners = [received.owner for received in roster.received]
    assert len(set(owners)) == len(owners), "one student twice"
    return [f"{owners[0].platform}, {min(len(owners), 9)} submissions"]


ARCHIVES = Fuzzer("archives", _script, _run, prepare_seeds)
