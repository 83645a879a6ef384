"""`asyncbench schema`: the published JSON schemas."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from asyncbench.results.record import record_schema
from asyncbench.sweep.loading import config_schema
from asyncbench.text_enum import TextEnum


class SchemaName(TextEnum):
    """Document that has a published schema."""

    CONFIG = "config"
    RECORD = "record"


def schema(
    name: Annotated[SchemaName, typer.Argument(help="A sweep's configuration file, or a line of results.")],
) -> None:
    """Print the JSON schema of a configuration file or of a results line."""
    found = config_schema() if name is SchemaName.CONFIG else record_schema()
    typer.echo(json.dumps(found, indent=2))
