"""Check that an engine is the one that finished cells of a resumed file were measured on. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from asyncbench.errors import BadInputError
from asyncbench.results.record import CellRecord
from asyncbench.sweep.backends.registry import find_backend
from asyncbench.wire.messages import EngineDescription

_REMEDY = "put back what the file was begun with, or give another --output"


def check_same_engine(done: Iterable[CellRecord], engine: EngineDescription) -> None:
    """Refuse to put figures of other weights, or of another data set, beside those that are there.

    Args:
        done: Finished cells of the same engine.
        engine: The one that is open now.

    Raises:
        BadInputError: A file behind an option has changed since.
    """
    for record in done:
        backend = find_backend(record.backend)
        # The hash of a plan is given by no second build again.
        has_plan = backend is not None and backend.has_plans
        other_engine = not has_plan and record.engine_hash not in (None, engine.engine_hash)
        # Files of before have no such hash: then the engine's alone tells.
        if other_engine or record.model_hash not in (None, engine.model_hash):
            raise BadInputError(f"{record.model} is another model than in the results file", remedy=_REMEDY)
        if record.accuracy is not None and record.accuracy.subset_hash != engine.subset_hash:
            raise BadInputError(
                f"the data set {record.accuracy.dataset} has other images or labels than in the results file",
                remedy=_REMEDY,
            )
