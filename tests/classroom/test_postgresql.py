"""The gradebook in a real PostgreSQL, started only for this test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from grader.cli import main
from tests.conftest import SOURCE
from tests.postgresql import PROGRAMS, Server


@pytest.fixture
def server() -> Iterator[Server]:
    if PROGRAMS is None:
        pytest.skip("no PostgreSQL is installed")
    made = Server()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
def test_a_class_in_postgresql(server: Server, tmp_path: Path, capsys: Any) -> None:
    """Results are saved and found again. If the server is gone, the message does not contain the password."""
    folder = tmp_path / "class"
    folder.mkdir()
    for name in ("ada", "zoë 💡", "=cmd"):
        (folder / f"{name}.ipynb").write_bytes(b"\x89PNG \x00 no notebook")
    command = ["batch", str(folder), "-a", "two_layer_mse", "--solutions", str(SOURCE.parent), "--jobs", "1"]
    command += ["--gradebook", server.url, "-o", str(tmp_path / "out")]

    assert main(command) == 2
    assert main(command) == 2

    said = capsys.readouterr().err
    assert "3 known already" in said
    assert not (tmp_path / "out" / "gradebook.db").exists()
    engine = sa.create_engine(server.url.replace("postgresql", "postgresql+psycopg"))
    with engine.connect() as connection:
        students = connection.execute(sa.text("SELECT student FROM grader_results")).scalars().all()
    engine.dispose()
    assert sorted(students) == sorted(["ada", "zoë 💡", "=cmd"])

    server.stop()

    assert main(command) == 2
    said = capsys.readouterr().err
    assert "cannot be used" in said
    assert "secret" not in said
    assert "Traceback" not in said
