"""Protocols between the use cases and the edges. No code that does anything."""
