"""`kill -9` of the server and of workers while students hand in."""

from __future__ import annotations

from pathlib import Path

from tests.portal.kills import run


def test_nothing_is_lost(tmp_path: Path) -> None:
    """Every upload that was acknowledged has exactly one result. `python -m tests.portal.kills` kills more often."""
    assert run(tmp_path, times=4, seed=7, jobs=1) > 0
