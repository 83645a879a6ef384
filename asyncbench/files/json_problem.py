"""Descriptions of what is wrong with a JSON document, in words instead of an exception's name."""

from __future__ import annotations

import json


def json_problem(error: Exception) -> str:
    """Return what is wrong with a document, from what reading it raised."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno} is not JSON: {error.msg}"
    if isinstance(error, KeyError):
        return f"the key {str(error.args[0])!r} is missing"
    if isinstance(error, RecursionError):
        return "too many brackets inside each other"
    if isinstance(error, TypeError):
        return "a value is not of the kind that belongs there"
    return str(error)
