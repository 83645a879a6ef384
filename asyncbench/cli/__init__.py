"""The command line: one module per command, `compose` to choose concrete classes, `show` for people."""
