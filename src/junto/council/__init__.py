"""Councils: several models answer together. What they say and in which order is decided by pure code; service.py performs it."""
