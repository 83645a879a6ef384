"""Every attribute and parameter name that we use, against the bindings that are installed: RTX, lean, and full ones."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from types import ModuleType

import pytest

from asyncbench.backends.tensorrt.bindings import protocols, required_api, versions
from asyncbench.backends.tensorrt.bindings.find_bindings import MODULE_NAMES
from asyncbench.backends.tensorrt.bindings.required_api import missing_members, required_members
from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, variant_of
from asyncbench.sweep.cell import Precision

INSTALLED = [name for name in MODULE_NAMES if importlib.util.find_spec(name) is not None]
# What is handed to members that not every version has; a member that we do not use in a version is not looked at there.
DIFFERING = [
    ("ICudaEngine", "get_device_memory_size_for_profile_v2", ["self", "profile_index"]),
    ("IExecutionContext", "set_device_memory", ["self", "memory", "size"]),
    ("IBuilderConfig", "set_compute_capability", ["self", "compute_capability", "index"]),
    ("IBuilderConfig", "set_memory_pool_limit", ["self", "pool", "pool_size"]),
    ("IBuilderConfig", "set_preview_feature", ["self", "feature", "enable"]),
    ("IBuilderConfig", "set_timing_cache", ["self", "cache", "ignore_mismatch"]),
    ("ITimingCache", "combine", ["self", "input_cache", "ignore_mismatch"]),
    ("IProgressMonitor", "phase_start", ["self", "phase_name", "parent_phase", "num_steps"]),
    ("IProgressMonitor", "step_complete", ["self", "phase_name", "step"]),
    ("IInt8EntropyCalibrator2", "get_batch", ["self", "names"]),
    ("ILogger", "log", ["self", "severity", "msg"]),
    ("IGpuAllocator", "allocate", ["self", "size", "alignment", "flags"]),
    ("IGpuAllocator", "deallocate", ["self", "memory"]),
    ("IGpuAllocator", "reallocate", ["self", "address", "alignment", "new_size"]),
    ("IGpuAllocator", "allocate_async", ["self", "size", "alignment", "flags", "stream"]),
    ("IGpuAllocator", "deallocate_async", ["self", "memory", "stream"]),
]


@pytest.fixture(params=INSTALLED or [None])
def module(request: pytest.FixtureRequest) -> ModuleType:
    if request.param is None:
        pytest.skip("bindings of TensorRT are not installed")
    return importlib.import_module(request.param)


def real_parameters(function: object) -> list[list[str]]:
    """Return the parameter names of every overload, as pybind11 writes them into the docstring."""
    name = function.__name__
    signatures = re.findall(rf"(?:^|\d+\. ){name}\((.*)\) -> ", function.__doc__ or "", re.MULTILINE)
    return [re.findall(r"(?:^|, )(\w+): ", one) for one in signatures if not one.startswith("*")]


def shared_methods() -> list[tuple[str, str, list[str]]]:
    return [
        (class_name, name, list(inspect.signature(method).parameters))
        for class_name, protocol in inspect.getmembers(protocols, inspect.isclass)
        if protocol.__module__ == protocols.__name__
        for name, method in vars(protocol).items()
        if inspect.isfunction(method) and not name.startswith("_")
    ]


def test_no_member_that_we_use_is_missing(module):
    assert missing_members(module) == ()


def test_the_shared_methods_take_the_parameters_that_we_give_them(module):
    wrong = []
    for class_name, name, ours in shared_methods():
        real_class = getattr(module, class_name, None)
        if real_class is None:  # a runtime without builder; missing_members has checked the rest
            continue
        theirs = real_parameters(getattr(real_class, name))
        if not any(one[: len(ours)] == ours for one in theirs):
            wrong.append((class_name, name, ours, theirs))

    assert wrong == []


def test_what_differs_takes_the_parameters_that_we_give_it_where_we_use_it(module):
    used = set(required_members(variant_of(module)))

    wrong = [
        (class_name, method, parameters)
        for class_name, method, parameters in DIFFERING
        if (class_name, method) in used
        and parameters not in real_parameters(getattr(getattr(module, class_name), method))
    ]

    assert wrong == []


def test_a_context_is_made_by_strategy_and_in_rtx_by_runtime_config(module):
    parameter = {TensorRtProduct.RTX: "runtime_config", TensorRtProduct.TENSORRT: "strategy"}[variant_of(module).name]
    if not variant_of(module).has_user_managed_contexts:
        parameter = "self"  # 8.6: a method of its own, without parameters

    assert any(one[-1] == parameter for one in real_parameters(module.ICudaEngine.create_execution_context))


def test_every_member_that_the_version_module_uses_is_in_a_table(module):
    """Whoever uses a new member must say which versions have it."""
    tables = [table for name, table in vars(required_api).items() if name.isupper() and isinstance(table, dict)]
    listed = {name for table in tables for names in table.values() for name in names}
    shared = {name for _, name in required_api._shared_members(has_builder=True)}
    python_has_too = {"format", "name", "write"}
    ours = {name for name, _ in inspect.getmembers(versions.Bindings)} | {one.name for one in Precision}
    classes = [one for one in vars(module).values() if inspect.isclass(one)]

    used = {node.attr for node in ast.walk(ast.parse(inspect.getsource(versions))) if isinstance(node, ast.Attribute)}
    foreign = {name for name in used if any(hasattr(one, name) for one in classes)}

    assert foreign - listed - shared - python_has_too - ours == set()


def test_the_facts_of_tensorrt_rtx():
    variant = variant_of(_import("tensorrt_rtx_bindings"))

    assert variant.name is TensorRtProduct.RTX
    assert not variant.has_precision_flags
    assert not variant.has_timing_cache
    assert all(variant.can_build(precision) for precision in Precision)


def test_the_facts_of_the_lean_runtime_11():
    variant = variant_of(_import("tensorrt_lean_bindings"))

    assert variant.name is TensorRtProduct.TENSORRT
    assert variant.has_user_managed_contexts
    assert not any(variant.can_build(precision) for precision in Precision)
    assert str(variant).endswith("(runtime only)")


def _import(name: str) -> ModuleType:
    pytest.importorskip(name, reason=f"{name} is not installed")
    return importlib.import_module(name)
