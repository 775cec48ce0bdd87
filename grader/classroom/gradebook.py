"""
The gradebook: every result, kept as soon as it is made, in SQLite or any database that SQLAlchemy knows.

A result is found again by what it depends on: who handed in which bytes under which name, the assignment's version, the
seed of the hidden batches, the grader's version. If any of that changes, it is another result.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from grader import __version__
from grader.classroom.records import Graded, Received
from grader.errors import UsageError
from grader.model import Submission

__all__ = ["Gradebook", "Settings", "result_key"]

BUSY_S = 30
"""How long one process waits while another one writes."""

_metadata = sa.MetaData()
_results = sa.Table(
    "grader_results",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("platform", sa.String(20), nullable=False),
    sa.Column("student", sa.Text, nullable=False),
    sa.Column("submission_sha256", sa.String(64), nullable=False),
    sa.Column("assignment_id", sa.Text, nullable=False),
    sa.Column("assignment_version", sa.Text, nullable=False),
    sa.Column("grader_version", sa.Text, nullable=False),
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("page", sa.LargeBinary, nullable=False),
    sa.Column("fault", sa.Text, nullable=False),
    sa.Column("graded_at", sa.DateTime, server_default=sa.func.now(), nullable=False),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a result depends on besides the submission."""

    assignment_id: str
    assignment_version: str
    hidden_seed: int


def result_key(received: Received, submission: Submission, settings: Settings) -> str:
    """A hash of all that a result depends on."""
    parts = [
        [received.platform, received.student, submission.name, submission.sha256],
        [settings.assignment_id, settings.assignment_version, settings.hidden_seed],
        __version__,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Gradebook:
    """
    The results in a database; each is committed by itself.

    Args:
        place: A file's path, or a database URL such as `postgresql://…`.

    Raises:
        UsageError: It cannot be opened.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        with self._translated():
            url = sa.make_url(place) if "://" in place else sa.URL.create("sqlite", database=place)
            if url.drivername == "postgresql":
                url = url.set(drivername="postgresql+psycopg")  # what the extra installs
            self.place = url.render_as_string(hide_password=True) if "://" in place else place
            is_sqlite = url.get_backend_name() == "sqlite"
            if is_sqlite and url.database:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(url, connect_args={"timeout": BUSY_S} if is_sqlite else {})
            if is_sqlite:
                sa.event.listen(self._engine, "connect", _write_ahead)
            _metadata.create_all(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def find(self, key: str) -> Graded | None:
        """The result of that key, if there is one."""
        with self._translated(), self._engine.connect() as connection:
            row = connection.execute(sa.select(_results).where(_results.c.key == key)).one_or_none()
        if row is None:
            return None
        return Graded(report=row.report, page=row.page, fault=row.fault)

    def keep(self, key: str, received: Received, submission_sha256: str, settings: Settings, graded: Graded) -> None:
        """Keep a result for good, in the place of one that was there. When this returns, no crash can take it away."""
        with self._translated(), self._engine.begin() as connection:
            connection.execute(sa.delete(_results).where(_results.c.key == key))
            connection.execute(
                sa.insert(_results).values(
                    key=key,
                    platform=received.platform,
                    student=received.student,
                    submission_sha256=submission_sha256,
                    assignment_id=settings.assignment_id,
                    assignment_version=settings.assignment_version,
                    grader_version=__version__,
                    report=graded.report,
                    page=graded.page,
                    fault=graded.fault,
                )
            )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise UsageError(
                f"The gradebook {self.place} cannot be used ({reason}).",
                "Name another one with --gradebook; what was kept so far stays.",
            ) from error


def _write_ahead(connection: Any, _: Any) -> None:
    """Readers and a writer do not wait for one another, and a crash loses nothing that was committed."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
