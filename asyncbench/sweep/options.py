"""Options of the command line, read off the fields of the configuration: a field that is marked with `Flag` is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.fields import Flag
from asyncbench.sweep.problems import Path, nested_model

_ARGUMENTS = {("model",): "MODEL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigOption:
    """An option that sets a key of the configuration.

    Attributes:
        path: The key, after the key of its section where it has one.
        names: As they are typed, such as `--batch`.
        value_type: What is typed: a number is read as one, a text by the field's own rules; bool takes no value.
        default: Of the command, where it has one of its own; None leaves it to the field.
    """

    path: tuple[str, ...]
    names: tuple[str, ...]
    help: str
    value_type: type[bool | int | float | str]
    default: str | None = None
    is_required: bool = False

    @property
    def key(self) -> str:
        """The key in its section."""
        return self.path[-1]

    @property
    def name(self) -> str:
        """The name that messages use: the one like the key where there are several."""
        like_the_key = _name_of(self.key)
        return like_the_key if like_the_key in self.names else self.names[0]


@cache
def config_options(model: type[BaseModel] = SweepConfig) -> tuple[ConfigOption, ...]:
    """Return the options of a configuration and of the sections in it, in the order of the fields."""
    return tuple(_options_of(model, section=()))


def config_option(key: str, *, help: str | None = None) -> ConfigOption:  # noqa: A002 # as the field calls it
    """Return the option that sets a key, with a command's own words where the field's do not say it there."""
    option = next(option for option in config_options() if option.key == key)
    return option if help is None else replace(option, help=help)


def flag_name(path: Path) -> str:
    """Return the name of the option or argument that sets a key: `--batch`."""
    key = tuple(step for step in path if isinstance(step, str))
    declared = {option.path: option.name for option in config_options()} | _ARGUMENTS
    return declared.get(key) or _name_of("-".join(key))


def _options_of(model: type[BaseModel], *, section: tuple[str, ...]) -> Iterator[ConfigOption]:
    for key, field in model.model_fields.items():
        path = (*section, key)
        for mark in field.metadata:
            if isinstance(mark, Flag):
                yield ConfigOption(
                    path=path,
                    names=mark.names or (_name_of(key),),
                    help=field.description or "",
                    value_type=_value_type(field.annotation),
                )
        inner = nested_model(field.annotation)
        if inner is not None:
            yield from _options_of(inner, section=path)


def _name_of(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _value_type(annotation: object) -> type[bool | int | float | str]:
    """Return the type of number that an annotation stands for; str for everything else, which is typed as text."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _value_type(get_args(annotation)[0])
    if origin in (Union, UnionType):
        types = {_value_type(part) for part in get_args(annotation) if part is not NoneType}
        return types.pop() if len(types) == 1 else str
    return next((kind for kind in (bool, int, float) if annotation is kind), str)
