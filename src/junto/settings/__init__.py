"""What the operator configured: the file, the environment and the options of `serve`, as one immutable value."""
