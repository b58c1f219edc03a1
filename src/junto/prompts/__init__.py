"""Prompt templates: shared or a client's own, by task type, every save a version."""
