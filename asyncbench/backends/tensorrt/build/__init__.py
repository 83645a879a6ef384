"""Engines: built in a child process, or taken from the cache."""
