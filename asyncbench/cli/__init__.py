"""The command line: one module per command, `show` for people."""
