"""Views of a sweep for people, always on stderr."""
