"""Backends as a sweep sees them: name, options, capabilities, and where the bench process finds the rest."""
