"""Built engines by content hash: looked up, verified, built once across processes, committed atomically, pruned."""

from __future__ import annotations

from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.identity import EngineIdentity, explain_difference
from asyncbench.backends.tensorrt.cache.inventory import inspect_engine, list_engines
from asyncbench.backends.tensorrt.cache.obtain import obtain_engine
from asyncbench.backends.tensorrt.cache.prune import PrunePolicy, prune
from asyncbench.backends.tensorrt.cache.sidecar import BuildFacts, Sidecar
from asyncbench.backends.tensorrt.cache.store import StoredEngine

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
