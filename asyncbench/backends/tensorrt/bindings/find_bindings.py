"""Find an installed TensorRT and import it."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from asyncbench.backends.tensorrt.bindings.versions import Bindings
from asyncbench.errors import BackendUnavailableError

MODULE_NAMES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "tensorrt_lean", "tensorrt_lean_bindings")


def system_folders() -> tuple[Path, ...]:
    """Return where JetPack's Debian packages put the bindings, which a virtual environment does not see."""
    minor = sys.version_info.minor
    return Path(f"/usr/lib/python3.{minor}/dist-packages"), Path("/usr/lib/python3/dist-packages")


def find_bindings(
    names: Iterable[str] = MODULE_NAMES, *, folders: Iterable[Path] = (), needs_builder: bool = False
) -> Bindings:
    """Import the first of `names` that is installed and usable.

    Args:
        folders: Where else to look, if it is not installed in this environment: `system_folders()`.
        needs_builder: Pass over runtimes that cannot build.

    Raises:
        BackendUnavailableError: None is; the message has the reason of each that was found and failed.
    """
    reasons = []
    for name in names:
        try:
            module = _import(name, tuple(folders))
        except ModuleNotFoundError as error:
            if error.name != name:
                reasons.append(f"{name}: {error}")
            continue
        except (ImportError, OSError, RuntimeError) as error:  # a stub package, or a library that does not load
            reasons.append(f"{name}: {error}")
            continue
        bindings = Bindings(module)
        if bindings.variant.has_builder or not needs_builder:
            return bindings
        reasons.append(f"{bindings.variant} cannot build engines")
    why = "; ".join(reasons) or "no TensorRT is installed"
    raise BackendUnavailableError(
        f"TensorRT cannot be used: {why}",
        remedy="install the extra cuda12, cuda13 or rtx, or choose --backend onnxruntime",
    )


def _import(name: str, folders: tuple[Path, ...]) -> ModuleType:
    if importlib.util.find_spec(name) is not None:
        return importlib.import_module(name)
    # Only this one package is taken from there: with the whole folder on the path, its numpy would shadow ours.
    spec = importlib.machinery.PathFinder.find_spec(name, [str(folder) for folder in folders])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no module named {name}", name=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
