"""Results files: the types of their lines, writing, reading, and the summary of a sweep.

Start at `record`; docs/records.md is the same for users.
"""
