"""Accuracy of the engine that is timed, over the lanes that time it."""
