"""Engines on the GPU: plans, lanes, their memory, the native pump."""
