"""The HTTP client against real sockets on the loopback."""
