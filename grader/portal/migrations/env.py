"""
Alembic runs this to migrate a database; `grader.portal.database` starts it with a connection.
"""

from __future__ import annotations

from alembic import context

from grader.portal.database import VERSION_TABLE
from grader.portal.lti.tables import METADATA as LTI
from grader.portal.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[METADATA, LTI],
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
