"""Backends by their descriptions: the only place that loads them. The supervisor must not import it: it stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pkgutil import resolve_name
from typing import Any, cast

from asyncbench.backends.base import Backend, BackendFactory, Report
from asyncbench.error_translation import own_or_system_error
from asyncbench.errors import BackendUnavailableError, named_line, text_line
from asyncbench.sweep.backends.descriptor import BackendDescriptor
from asyncbench.sweep.backends.registry import AUTO_BACKEND, AUTOMATIC, BUILT_IN, REFERENCE, find_backend, need_backend
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import SweepConfig


def make_backend(config: SweepConfig, report: Report) -> Backend:
    """Return the backend that `config` asks for; `auto` is the first that this machine can run.

    Raises:
        BackendUnavailableError: It does not exist here.
        BadInputError: Its options cannot be used.
    """
    backend = first_available(AUTOMATIC) if config.backend == AUTO_BACKEND else need_backend(config.backend)
    return _make(backend, config, report)


def make_reference(backend: Backend, precision: Precision) -> Backend | None:
    """Return what outputs are held to; None for those that are that themselves, or only simulated."""
    known = find_backend(backend.name)
    if known is not None and (known.is_simulated or precision in known.reference_precisions):
        return None
    return _make(REFERENCE, SweepConfig(), lambda _: None)


def first_available(backends: Iterable[BackendDescriptor]) -> BackendDescriptor:
    """Return the first of `backends` that this machine can run; one must need nothing that can be missing."""
    return next(one for one in backends if one.why_unavailable is None or _load(one, one.why_unavailable)() is None)


def _make(backend: BackendDescriptor, config: SweepConfig, report: Report) -> Backend:
    factory: BackendFactory[Any] = _load(backend, backend.factory)
    if backend.name in BUILT_IN:
        return factory(config.options_of(backend), config=config, report=report)
    return _make_added(factory, backend, config, report)


def _make_added(
    factory: BackendFactory[Any], backend: BackendDescriptor, config: SweepConfig, report: Report
) -> Backend:
    """Return a backend of another package, whose mistakes are not ours."""
    try:
        made: object = factory(config.options_of(backend), config=config, report=report)
    except (Exception, SystemExit) as error:
        if (known := own_or_system_error(error)) is not None:
            raise known from error
        raise _unusable(backend, f"{backend.factory} failed: {named_line(error)}") from error
    if not (hasattr(made, "name") and hasattr(made, "open_engine")):
        raise _unusable(backend, f"{backend.factory} returned {type(made).__name__}, and no Backend")
    return cast("Backend", made)


def _unusable(backend: BackendDescriptor, why: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"the {backend.name} backend cannot be used: {why}",
        remedy="repair the package that adds it, or choose another --backend",
    )


def _load(backend: BackendDescriptor, import_string: str) -> Callable[..., Any]:
    try:
        loaded: Callable[..., Any] = resolve_name(import_string)
    except (Exception, SystemExit) as error:  # the code of another package, perhaps
        if backend.name in BUILT_IN and not isinstance(error, ImportError | AttributeError | ValueError):
            raise
        why = text_line(error) or type(error).__name__
        raise BackendUnavailableError(
            f"the {backend.name} backend cannot be loaded: {import_string}: {why}",
            remedy="install what it needs, or choose another --backend",
        ) from error
    return loaded
