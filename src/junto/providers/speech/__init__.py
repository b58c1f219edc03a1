"""Engines of speech: each a process of its own that Junto starts when the first text comes, watches and ends."""
