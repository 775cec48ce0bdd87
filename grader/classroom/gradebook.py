"""
The gradebook: saves every result as soon as it exists, in SQLite or any other database that SQLAlchemy supports.

The key of a result is a hash of everything that it depends on (`grader.classroom.keys`): if any of that changes, it is
another result. How a notebook ran is saved separately, under a key of its own, so that it can be judged again. Nothing
is ever deleted, except to be replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from grader.classroom.keys import Basis, Keys
from grader.classroom.records import Graded, Owner
from grader.errors import UsageError
from grader.version import __version__

__all__ = ["ADJUSTMENTS", "RESULTS", "Gradebook", "lock_tables"]

FORM = 2
"""The version of the tables; a grader can use gradebooks of its own version and of older ones."""
BUSY_S = 30
"""How long one process waits while another one writes."""
LOCK = 0x67726164
"""A number that other programs in a database of PostgreSQL hardly use: `grad` in ASCII."""

_metadata = sa.MetaData()
RESULTS = sa.Table(
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


# Since version 2. Missing tables are created; existing ones are never changed.
_executions = sa.Table(
    "grader_executions",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("answers", sa.LargeBinary, nullable=False),
    sa.Column("executed_at", sa.DateTime, server_default=sa.func.now(), nullable=False),
)
_shown = sa.Table(
    "grader_shown",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("page", sa.LargeBinary, nullable=False),
)
ADJUSTMENTS = sa.Table(
    "grader_adjustments",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("platform", sa.String(20), nullable=False),
    sa.Column("student", sa.Text, nullable=False),
    sa.Column("assignment_id", sa.Text, nullable=False),
    sa.Column("exercise", sa.Text, nullable=False),
    sa.Column("points", sa.Float),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", sa.DateTime, server_default=sa.func.now(), nullable=False),
    sa.Column("withdrawn_by", sa.Text),
    sa.Column("withdrawn_for", sa.Text),
    sa.Column("withdrawn_at", sa.DateTime),
)
_form = sa.Table("grader_form", _metadata, sa.Column("number", sa.Integer, primary_key=True, autoincrement=False))


class Gradebook:
    """
    A database of results; each result is committed by itself.

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
            with self._engine.begin() as connection:
                if not set(_metadata.tables) <= set(sa.inspect(connection).get_table_names()):
                    lock_tables(connection)
                    _metadata.create_all(connection)
                form = connection.execute(sa.select(sa.func.max(_form.c.number))).scalar()
                if form is None:
                    connection.execute(sa.insert(_form).values(number=FORM))
        if form is not None and form > FORM:
            self.close()
            raise UsageError(
                f"The gradebook {self.place} was made by a newer grader.", "Use that version, or another --gradebook."
            )

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def find(self, key: str) -> Graded | None:
        """The result with this key, if there is one."""
        columns = (RESULTS, _shown.c.report.label("shown_report"), _shown.c.page.label("shown_page"))
        found = sa.select(*columns).outerjoin(_shown, _shown.c.key == RESULTS.c.key).where(RESULTS.c.key == key)
        with self.begin() as connection:
            row = connection.execute(found).one_or_none()
        if row is None:
            return None
        return Graded(
            report=row.report,
            page=row.page,
            fault=row.fault,
            shown_report=row.shown_report or "",
            shown_page=row.shown_page or b"",
        )

    def find_execution(self, key: str) -> bytes | None:
        """How a notebook ran, packed by `grader.execution.kept`, if it ran before."""
        with self.begin() as connection:
            found = sa.select(_executions.c.answers).where(_executions.c.key == key)
            return connection.execute(found).scalar_one_or_none()

    def forget_execution(self, connection: sa.Connection, key: str) -> None:
        """Forget how a notebook ran, so that it is executed again."""
        connection.execute(sa.delete(_executions).where(_executions.c.key == key))

    def keep(self, keys: Keys, owner: Owner, submission_sha256: str, basis: Basis, graded: Graded) -> None:
        """
        Save a result, and how the notebook ran if it was executed. Both replace what was saved under these keys.

        When this returns, a crash cannot lose them any more.
        """
        key = keys.result
        with self.begin() as connection:
            if graded.packed is not None:
                connection.execute(sa.delete(_executions).where(_executions.c.key == keys.execution))
            if graded.packed:
                connection.execute(sa.insert(_executions).values(key=keys.execution, answers=graded.packed))
            connection.execute(sa.delete(_shown).where(_shown.c.key == key))
            if graded.shown_report:
                shown = {"report": graded.shown_report, "page": graded.shown_page}
                connection.execute(sa.insert(_shown).values(key=key, **shown))
            connection.execute(sa.delete(RESULTS).where(RESULTS.c.key == key))
            connection.execute(
                sa.insert(RESULTS).values(
                    key=key,
                    platform=owner.platform,
                    student=owner.student,
                    submission_sha256=submission_sha256,
                    assignment_id=basis.assignment_id,
                    assignment_version=basis.assignment_version,
                    grader_version=__version__,
                    report=graded.report,
                    page=graded.page,
                    fault=graded.fault,
                )
            )

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """
        A transaction, committed unless the context is left by an exception.

        Raises:
            UsageError: The database fails.
        """
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise UsageError(
                f"The gradebook {self.place} cannot be used ({reason}).",
                "Name another one with --gradebook. What has been saved is not lost.",
            ) from error


def lock_tables(connection: sa.Connection) -> None:
    """
    Let one process change tables at a time, and all of it or nothing, if it is killed meanwhile.

    SQLite changes tables outside of a transaction unless one was begun by hand.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def _write_ahead(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer, or the writer for readers, and a crash loses nothing that was committed."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
