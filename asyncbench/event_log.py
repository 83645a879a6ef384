"""Events for a log: they go to the structlog of the program that we are part of, and nowhere where it has set up none.

A library prints nothing, and structlog that nobody has set up would print every event.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import structlog


def get_logger() -> Any:  # noqa: ANN401 # structlog's own loggers have no narrower type
    """Return a logger whose events are passed on to structlog as it is set up when they come."""
    return structlog.wrap_logger(
        object(),  # for None structlog would make one that prints, and a process may have no stdout
        processors=[_pass_on],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        context_class=dict,
        cache_logger_on_first_use=False,
    )


def _pass_on(_logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if structlog.is_configured():
        fields = dict(event)
        getattr(structlog.get_logger(), method)(fields.pop("event"), **fields)
    raise structlog.DropEvent
