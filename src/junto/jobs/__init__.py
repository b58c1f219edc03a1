"""Durable work: jobs from submit to finish, and telling their owners of it. Knows no database, no queue and no HTTP."""
