"""Load: when the next inference starts, and on which lane."""
