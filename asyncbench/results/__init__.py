"""Result files: the types of their lines, who writes them, who reads them, and what stands out in them.

Start at `record`; docs/records.md is the same for users.
"""
