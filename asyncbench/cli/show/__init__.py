"""How a sweep is shown to people, always on stderr."""
