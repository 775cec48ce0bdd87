"""
Alembic's migrations of the portal's tables.
"""
