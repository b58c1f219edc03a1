"""Text to speech: preparing text, synthesis by an engine, encoding, and the files that come of it."""
