from __future__ import annotations

import pytest

from asyncbench.bench.compose import first_available, make_backend, make_reference
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.backends import registry
from asyncbench.sweep.backends.descriptor import BackendDescriptor, BackendOptions
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import check_config


def backend_of(**keys):
    return make_backend(check_config(keys, source=""), lambda _: None)


@pytest.mark.parametrize(
    "keys",
    [{"backend": "onnxruntime"}, {"backend": "simulated"}, {"backend": "simulated", "simulated": {"slots": 2}}],
)
def test_a_backend_is_made_by_its_name(keys):
    assert backend_of(**keys).name == keys["backend"]


@pytest.mark.parametrize(("precision", "is_held"), [(Precision.FP32, False), (Precision.INT8, True)])
def test_onnxruntime_in_fp32_is_what_its_other_precisions_are_held_to(precision, is_held):
    reference = make_reference(backend_of(backend="onnxruntime"), precision)

    assert (reference is not None and reference.name == "onnxruntime") is is_held


def test_nothing_is_known_of_a_simulated_networks_outputs():
    assert make_reference(backend_of(backend="simulated"), Precision.FP16) is None


@pytest.mark.parametrize("factory", ["no_such_module:make", "asyncbench.errors:no_such_name", "no module at all"])
def test_a_backend_that_cannot_be_loaded_is_named_with_what_is_missing(monkeypatch, factory):
    broken = BackendDescriptor(name="broken", options=BackendOptions, factory=factory)
    monkeypatch.setitem(registry.BUILT_IN, "broken", broken)

    with pytest.raises(BackendUnavailableError, match=f"the broken backend cannot be loaded: {factory}: "):
        backend_of(backend="broken")


def test_auto_takes_the_first_that_the_machine_can_run(tmp_path, monkeypatch):
    (tmp_path / "machine_answers.py").write_text("def no(): return 'there is no GPU'\ndef yes(): return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    first, second, third = (
        BackendDescriptor(name=name, options=BackendOptions, factory="", why_unavailable=why)
        for name, why in (("first", "machine_answers:no"), ("second", "machine_answers:yes"), ("third", None))
    )

    assert first_available([first, second, third]) is second
    assert first_available([first, third]) is third
