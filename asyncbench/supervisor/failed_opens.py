"""Deaths of bench processes that open an engine: try again, charge a cell, or give the engine up."""

from __future__ import annotations

from asyncbench.text_enum import TextEnum

# How often in a row a process may die while it opens an engine that was open before.
MAX_OPENS = 3
# How many cells that may cost, one for each time that it happened, before the engine is given up.
MAX_CHARGED = 4


class AfterFailedOpen(TextEnum):
    """The next step after such a death."""

    OPEN_AGAIN = "open again"
    CHARGE_A_CELL = "charge a cell"
    REFUSE = "refuse"


class FailedOpens:
    """Deaths in a row: whoever kills a process that opens an engine must not cost all the cells behind it."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def succeeded(self) -> None:
        """Forget them: the engine is open."""
        self._in_a_row = 0

    def failed(self, *, was_open_before: bool) -> AfterFailedOpen:
        """Count one more and say what follows.

        Args:
            was_open_before: An engine that never was is not tried again: it would only be refused later.
        """
        self._in_a_row += 1
        if not was_open_before or self._in_a_row >= MAX_OPENS * MAX_CHARGED:
            return AfterFailedOpen.REFUSE
        return AfterFailedOpen.OPEN_AGAIN if self._in_a_row % MAX_OPENS else AfterFailedOpen.CHARGE_A_CELL
