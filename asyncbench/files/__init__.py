"""Files on disk that a user names."""
