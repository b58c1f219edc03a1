"""The HTTP client without a socket."""
