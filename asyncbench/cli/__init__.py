"""The command line: one module per command, `show` for people. A client of the library."""
