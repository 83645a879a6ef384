"""Options that the backend of a sweep does not know: refused on the command line, reported from a file. Pure."""

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
        flags: The keys of `config` that the command line gave; of a section as `tensorrt.depth`.

    Raises:
        BadInputError: A flag of the command line would do nothing.
    """
    unused = {f"{section}.{key}": (section, key) for section, key in config.keys_without_effect(backend)}
    typed = [path for name, path in unused.items() if name in flags]
    if typed:
        wanted = typed[0][0]
        names = ", ".join(flag_name(path) for path in typed if path[0] == wanted)
        raise BadInputError(
            f"{names}: only the {wanted} backend knows this, and the sweep runs on {backend}",
            remedy=f"leave it out, or choose --backend {wanted}",
        )
    if not unused:
        return None
    return f"keys of the configuration file without effect on {backend}: {', '.join(unused)}"
