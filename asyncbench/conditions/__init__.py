"""Conditions: facts of the machine, and the probes that watch it while a cell runs."""
