"""Upstreams that misbehave: what they send, in three dialects, and what a caller may be given then."""
