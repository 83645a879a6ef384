"""Folder of the engines, and the names of its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from asyncbench.files.durable_file import cannot_store
from asyncbench.places import cache_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFolder:
    """One cache of engines. Every file of an engine starts with its key."""

    root: Path

    def engine_path(self, key: str) -> Path:
        """Return the path of the serialized engine."""
        return self.root / f"{key}.engine"

    def sidecar_path(self, key: str) -> Path:
        """Return the path of the JSON beside the engine; where it is missing, there is no engine."""
        return self.root / f"{key}.json"

    def lock_path(self, key: str) -> Path:
        """Return the path of the lock that the builder of this engine holds."""
        return self.root / f"{key}.lock"

    def temporary_path(self, key: str) -> Path:
        """Return where this process builds the engine before it is committed."""
        return self.root / f"{key}.{os.getpid()}.tmp"

    def builder_lock_path(self) -> Path:
        """Return the path of the lock that allows one build at a time: two tuning at once would spoil each other."""
        return self.root / "builder.lock"

    def timing_cache_path(self, *, flavour: str, flavour_version: str, gpu_name: str) -> Path:
        """Return the path of the kernel timings that builds of one version on one kind of GPU share."""
        name = f"{flavour}-{flavour_version}-{gpu_name}".replace(" ", "_").replace("/", "_")
        return self.root / f"{name}.timing"

    @property
    def calibrations(self) -> Path:
        """The folder for what builders read of calibrations."""
        return self.root / "calibrations"

    def quarantine(self) -> Path:
        """Return the folder for engines that must not be used."""
        return self.root / "quarantine"

    def create(self) -> None:
        """Create the folders.

        Raises:
            OutputError: They cannot be created.
        """
        try:
            self.quarantine().mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_store(self.root, error) from error


def user_engine_folder() -> EngineFolder:
    """Return the user's cache of built engines.

    Raises:
        BadInputError: See `cache_folder`.
    """
    return EngineFolder(root=cache_folder() / "engines")
