"""Description of a backend: all that is known of one without importing it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from asyncbench.sweep.cell import Precision


class BackendOptions(BaseModel):
    """Base of a backend's own options: a section of the configuration, under the backend's name. Each has a default."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)

    def changed_keys(self) -> tuple[str, ...]:
        """Return the keys that were given and are not the default."""
        default = type(self)()
        return tuple(
            key
            for key in type(self).model_fields
            if key in self.model_fields_set and getattr(self, key) != getattr(default, key)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendDescriptor:
    """A backend, as the supervisor knows it.

    Attributes:
        name: On the command line, in records, and of its section in the configuration.
        options: What can be set of it.
        factory: Import string, `package.module:function`, of a `BackendFactory` (see backends.base). Only a bench
            process loads it.
        why_unavailable: Import string of a function without arguments that returns why this machine cannot run it, or
            None where it can; asked before `auto` takes it. None for one that runs wherever it is installed.
        has_plans: Whether its engines are compiled here: a second build gives other bytes.
        is_simulated: Whether it opens no model: nothing is known of its outputs.
        reference_precisions: In which its outputs are what those of others are held to.
    """

    name: str
    options: type[BackendOptions]
    factory: str
    why_unavailable: str | None = None
    has_plans: bool = False
    is_simulated: bool = False
    reference_precisions: frozenset[Precision] = frozenset()
