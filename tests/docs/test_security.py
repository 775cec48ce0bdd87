"""docs/security.md names each module that reads what others wrote."""

from __future__ import annotations

import re

from tests.conftest import ROOT

READS = re.compile(r"\.(recv|recvmsg|recv_fds|sock_recv)\(|json\.loads\(|msgpack\.|pickle|zipfile\.ZipFile\(|yaml\.")
OTHERS = {
    "assignment/written.py": "an author's own files",
    "authoring/leaks.py": "an author's own files",
    "authoring/wheel.py": "it writes an archive",
    "classroom/outputs.py": "it writes archives",
    "portal/backup.py": "it writes an archive",
    "portal/bundle.py": "it writes an archive",
    "portal/served.py": "it writes an archive",
    "execution/packed.py": "a part of what `kept.py` reads",
    "gradescope/package.py": "it writes an archive",
    "gradescope/run.py": "what the instructor has packed",
    "harness/wire.py": "in the kernel, and for `border.py`",
    "notebook/header.py": "in the conductor",
    "sandbox/inside.py": "in the kernel's process, from its supervisor",
}
"""What reads nothing of a student's, or not in a trusted process."""


def test_each_module_that_reads_is_named() -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    reading = {
        path.relative_to(ROOT / "grader").as_posix()
        for path in (ROOT / "grader").rglob("*.py")
        if READS.search(path.read_text(encoding="utf-8"))
    }

    assert sorted(name for name in reading - OTHERS.keys() if f"`{name}`" not in page) == []
    assert sorted(OTHERS.keys() - reading) == []
