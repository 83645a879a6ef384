"""Options that the backend of a sweep does not know: refused where somebody typed them, told of in a file. Pure."""

from __future__ import annotations

from collections.abc import Collection

from asyncbench.errors import BadInputError
from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.options import flag_name


def check_backend_options(config: SweepConfig, *, backend: str, flags: Collection[str]) -> str | None:
    """Return a sentence about keys of a file that do nothing on this backend; None where all of them do something.

    A file may be written for several machines, and its keys are left alone. Whoever types a flag expects it to act.

    Args:
        backend: The name of the one that was chosen.
        flags: The keys of `config` that the command line gave.

    Raises:
        BadInputError: A flag of the command line would do nothing.
    """
    unused = config.keys_without_effect(backend)
    typed = [key for key in unused if key in flags]
    if typed:
        wanted = unused[typed[0]]
        names = ", ".join(flag_name((key,)) for key in typed if unused[key] is wanted)
        raise BadInputError(
            f"{names}: only the {wanted} backend knows this, and the sweep runs on {backend}",
            remedy=f"leave it out, or choose --backend {wanted}",
        )
    if not unused:
        return None
    names = ", ".join(f"{key} (for {wanted})" for key, wanted in unused.items())
    return f"keys of the configuration file without effect on {backend}: {names}"
