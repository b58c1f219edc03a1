"""Logs and metrics: what is told about the traffic, never its content. Hangs on ports/observer.py."""
