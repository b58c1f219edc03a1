"""The command line: `junto`. Parses, calls, prints; what it does is elsewhere."""
