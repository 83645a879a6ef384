from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asyncbench.backends.tensorrt.bindings.find_bindings import find_bindings
from asyncbench.errors import BackendUnavailableError

RUNTIME_ONLY = "__version__ = '11.4.0.106'\n"
WITH_BUILDER = RUNTIME_ONLY + "class Builder: pass\nclass BuilderFlag: FP16 = 1\n"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the module path in which tests put packages that stand for TensorRT."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def install(folder: Path, name: str, source: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(source)


def test_the_first_that_is_installed_is_taken(packages):
    install(packages, "first_trt", RUNTIME_ONLY)
    install(packages, "second_trt", WITH_BUILDER)

    assert find_bindings(["absent_trt", "first_trt", "second_trt"]).variant.module_name == "first_trt"


def test_a_runtime_is_passed_over_where_a_builder_is_needed(packages):
    install(packages, "first_trt", RUNTIME_ONLY)
    install(packages, "second_trt", WITH_BUILDER)

    bindings = find_bindings(["first_trt", "second_trt"], needs_builder=True)

    assert bindings.variant.module_name == "second_trt"


def test_a_package_whose_library_does_not_load_is_named_with_the_reason(packages):
    install(packages, "broken_trt", "raise ImportError('libnvinfer.so.10: cannot open shared object file')")

    with pytest.raises(BackendUnavailableError, match=r"broken_trt: libnvinfer.so.10.*--backend onnxruntime"):
        find_bindings(["broken_trt"])


def test_a_package_that_lacks_another_is_named_too(packages):
    install(packages, "broken_trt", "import tensorrt_libs_that_are_absent")

    with pytest.raises(BackendUnavailableError, match="broken_trt: No module named 'tensorrt_libs_that_are_absent'"):
        find_bindings(["broken_trt"])


def test_nothing_installed_says_what_to_install(packages):
    with pytest.raises(BackendUnavailableError, match="no TensorRT is installed: install the extra"):
        find_bindings(["absent_trt"], folders=[packages])


def test_the_systems_tensorrt_is_found_and_nothing_else_of_its_folder(packages):
    system = packages / "dist-packages"
    install(system, "system_trt", WITH_BUILDER)
    install(system, "other_package", "")

    bindings = find_bindings(["system_trt"], folders=[system])

    assert bindings.variant.module_name == "system_trt"
    assert str(system) not in sys.path


def test_a_system_package_that_does_not_load_is_not_left_half_imported(packages):
    system = packages / "dist-packages"
    install(system, "half_trt", "raise OSError('driver')")

    with pytest.raises(BackendUnavailableError, match="half_trt: driver"):
        find_bindings(["half_trt"], folders=[system])

    assert "half_trt" not in sys.modules
