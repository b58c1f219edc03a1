"""The tables of the database, as SQLAlchemy Core metadata. SQL for SQLite 3.40 and up."""
