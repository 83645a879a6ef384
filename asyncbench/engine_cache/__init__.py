"""Built engines by content hash: looked up, verified, built once across processes, committed atomically, pruned."""

from __future__ import annotations

from asyncbench.engine_cache.folder import EngineFolder
from asyncbench.engine_cache.identity import EngineIdentity, explain_difference
from asyncbench.engine_cache.inventory import inspect_engine, list_engines
from asyncbench.engine_cache.obtain import obtain_engine
from asyncbench.engine_cache.prune import PrunePolicy, prune
from asyncbench.engine_cache.sidecar import BuildFacts, Sidecar
from asyncbench.engine_cache.store import StoredEngine

__all__ = [
    "BuildFacts",
    "EngineFolder",
    "EngineIdentity",
    "PrunePolicy",
    "Sidecar",
    "StoredEngine",
    "explain_difference",
    "inspect_engine",
    "list_engines",
    "obtain_engine",
    "prune",
]
