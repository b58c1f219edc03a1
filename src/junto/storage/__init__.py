"""Where data rests: the journal, the SQLite database, and what reads from them. Reached through ports/stores.py only."""
