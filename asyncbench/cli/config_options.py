"""Options of a command made from the fields of the configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from asyncbench.sweep.options import ConfigOption

T = TypeVar("T")
_PARAMETER = "options"


def with_config_options(options: Sequence[ConfigOption]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that puts these options in the place of a command's parameter `options`.

    The command gets there what was typed, by key, as the configuration has it: a section is a mapping of its own.
    """

    def decorate(command: Callable[..., T]) -> Callable[..., T]:
        @wraps(command)
        def typed(**values: object) -> T:
            given = {option: values.pop(_parameter_name(option)) for option in options}
            return command(**values, **{_PARAMETER: _by_key(given)})

        # Typer makes what it shows and parses out of the signature alone.
        typed.__signature__ = _signature(command, options)  # type: ignore[attr-defined]
        return typed

    return decorate


def _signature(command: Callable[..., object], options: Sequence[ConfigOption]) -> inspect.Signature:
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters.extend(map(_parameter, options) if name == _PARAMETER else [parameter])
    return signature.replace(parameters=parameters)


def _parameter(option: ConfigOption) -> inspect.Parameter:
    return inspect.Parameter(
        _parameter_name(option),
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if option.is_required else option.default,
        annotation=Annotated[option.value_type | None, typer.Option(*option.names, help=option.help)],
    )


def _parameter_name(option: ConfigOption) -> str:
    return "__".join(option.path)


def _by_key(given: Mapping[ConfigOption, object]) -> dict[str, object]:
    """Return the values as the configuration nests them; an option that is None was not typed."""
    values: dict[str, Any] = {}
    for option, value in given.items():
        if value is not None:
            section = values
            for step in option.path[:-1]:
                section = section.setdefault(step, {})
            section[option.key] = value
    return values
