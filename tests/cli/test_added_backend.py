"""A backend from outside the package: an installed distribution with an entry point, and options of its own."""

from __future__ import annotations

import json
import sys

import pytest

from asyncbench.bench.compose import make_backend
from asyncbench.cli.doctor import added_backend_findings
from asyncbench.errors import BackendUnavailableError, BadInputError
from asyncbench.sweep.backend_options import check_backend_options
from asyncbench.sweep.backends import registry
from asyncbench.sweep.config import check_config, config_with
from asyncbench.sweep.loading import config_schema
from asyncbench.testing import write_distribution

DESCRIPTOR = """
from pydantic import Field

from asyncbench.sweep.backends.descriptor import BackendDescriptor, BackendOptions


class AbacusOptions(BackendOptions):
    beads: int = Field(default=1, ge=1, description="Inferences at once.")


FACTORY = "abacus_backend:make_abacus"
ABACUS = BackendDescriptor(name="abacus", options=AbacusOptions, factory=FACTORY, is_simulated=True)
SCALE = BackendDescriptor(name="scale", options=AbacusOptions, factory=FACTORY)
NOT_A_DESCRIPTOR = "a text"
"""
FACTORIES = """
from asyncbench.sweep.backends.descriptor import BackendDescriptor, BackendOptions


def fail(options, *, config, report):
    raise RuntimeError("no beads\\nat all")


def leave(options, *, config, report):
    raise SystemExit(0)


def make_nothing(options, *, config, report):
    return None


FAILS, LEAVES, NOTHING = (
    BackendDescriptor(name=name, options=BackendOptions, factory=f"factories:{factory}", is_simulated=True)
    for name, factory in (("fails", "fail"), ("leaves", "leave"), ("nothing", "make_nothing"))
)
"""
BACKEND = '''
from contextlib import asynccontextmanager
from dataclasses import replace

from asyncbench.backends.simulated.backend import SimulatedBackend
from asyncbench.backends.simulated.spec import SimulatedSpec


class AbacusBackend:
    """The simulated device under another name."""

    name = "abacus"

    def __init__(self, beads, seed, report):
        self._beads, self._report = beads, report
        self._device = SimulatedBackend(SimulatedSpec(slots=beads, seed=seed))

    @asynccontextmanager
    async def open_engine(self, request):
        self._report("counting beads")
        async with self._device.open_engine(request) as engine:
            engine.facts = replace(engine.facts, backend=self.name, extra={"beads": self._beads})
            yield engine


def make_abacus(options, *, config, report):
    return AbacusBackend(options.beads, config.seed, report)
'''
ENTRY_POINT = {"abacus": "abacus_descriptor:ABACUS"}
BROKEN = {"broken": "no_such_module:BACKEND"}
OFFERED = {
    "group": "asyncbench.backends",
    "modules": {
        "abacus_descriptor": DESCRIPTOR,
        "abacus_backend": BACKEND,
        "factories": FACTORIES,
        "leaving": "raise SystemExit(0)",
        "talking": "print('hello')\nfrom abacus_descriptor import ABACUS",
    },
}


@pytest.fixture
def with_abacus(tool):
    """Return the tool where the distribution is installed."""
    tool.install("abacus", entry_points=ENTRY_POINT | BROKEN, **OFFERED)
    return tool


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Return a function that installs entry points for this process."""

    def install_here(entry_points):
        monkeypatch.syspath_prepend(write_distribution(tmp_path, "abacus", entry_points=entry_points, **OFFERED))

    yield install_here
    for name in ("abacus_descriptor", "abacus_backend", "factories", "leaving", "talking"):
        sys.modules.pop(name, None)
    config_with.cache_clear()


def test_a_sweep_runs_on_it_with_its_own_options(with_abacus):
    config = with_abacus.write_config(backend="abacus", abacus={"beads": 3}, concurrency="1,2", batch=1)

    with_abacus.run("sweep", "--config", config, "--output", "out.jsonl")

    header = with_abacus.records()[0]
    cells = with_abacus.cells()
    assert header["config"][0]["abacus"] == {"beads": 3}
    assert header["engines"][0]["extra"] == {"beads": 3}
    assert [(cell["backend"], cell["concurrency"]) for cell in cells] == [("abacus", 1), ("abacus", 2)]
    assert {cell["status"] for cell in cells} <= {"measured", "imprecise"}


def test_its_sweep_can_be_gone_on_with(with_abacus):
    config = with_abacus.write_config(backend="abacus", concurrency=1, batch=1)
    arguments = ("sweep", "--config", config, "--output", "out.jsonl")
    with_abacus.run(*arguments)

    assert "nothing is left to measure" in with_abacus.run(*arguments, "--resume").stderr


def test_one_that_cannot_be_loaded_ends_the_command_with_one_line(with_abacus):
    done = with_abacus.run("sweep", "--backend", "broken", check_code=2)

    assert done.stderr.startswith(
        "asyncbench: backend broken: the entry point 'no_such_module:BACKEND' of abacus cannot be loaded: "
        "ModuleNotFoundError: No module named 'no_such_module': repair or remove that package, or choose one of "
    )
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"abacus": {"bead": 3}}, 'key "abacus.bead" is unknown: did you mean key "abacus.beads"?'),
        ({"abacus": {"beads": 0}}, 'key "abacus.beads" is 0: make it greater than or equal to 1'),
        ({"abacus": 3}, 'key "abacus" is 3: make it an object in braces'),
        (
            {"backend": "abakus"},
            "key \"backend\": there is no backend 'abakus': choose auto, onnxruntime, tensorrt, simulated, abacus or ",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_its_remedy(offer, keys, line):
    offer(ENTRY_POINT | BROKEN)

    with pytest.raises(BadInputError) as refusal:
        check_config({"backend": "abacus"} | keys, source="sweep.json")

    assert str(refusal.value).startswith(f"sweep.json: {line}")


def test_its_options_in_a_file_for_several_machines_are_told_of(offer):
    offer({"scale": "abacus_descriptor:SCALE"})
    config = check_config({"backend": "onnxruntime", "scale": {"beads": 3}}, source="")

    said = check_backend_options(config, backend="onnxruntime", flags=())

    assert said == "keys of the configuration file without effect on onnxruntime: scale.beads"


def test_a_broken_package_costs_nobody_elses_sweep(offer):
    offer(BROKEN)

    assert check_config({"backend": "simulated", "simulated": {}}, source="").runs_simulated


def test_the_description_is_read_without_the_backend_itself(offer):
    offer(ENTRY_POINT)

    config = check_config({"backend": "abacus"}, source="")

    assert config.runs_simulated
    assert "abacus_descriptor" in sys.modules
    assert "abacus_backend" not in sys.modules


def test_its_options_are_in_the_schema(offer):
    offer(ENTRY_POINT)

    schema = config_schema()

    keys = schema["$defs"]["SweepConfig"]["properties"]
    assert "abacus" in keys["backend"]["enum"]
    assert "#/$defs/AbacusOptions" in json.dumps(keys["abacus"])


def test_doctor_names_it_and_the_broken_one(offer):
    offer(ENTRY_POINT | BROKEN)

    found = {finding.what: (finding.works, finding.found) for finding in added_backend_findings()}

    assert found["abacus backend"] == (True, "added by an installed package")
    assert found["broken backend"][0] is False
    assert "'no_such_module:BACKEND' of abacus cannot be loaded" in found["broken backend"][1]


def test_auto_never_takes_it(offer):
    offer(ENTRY_POINT)

    assert "abacus" in registry.added_names()
    assert "abacus" not in {one.name for one in registry.AUTOMATIC}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("abacus", "abacus_descriptor:NOT_A_DESCRIPTOR", "is no BackendDescriptor but str"),
        ("counter", "abacus_descriptor:ABACUS", "describes a backend with another name, 'abacus'"),
        ("abacus", "abacus_descriptor:NOTHING", "cannot be loaded: AttributeError"),
        ("abacus", "leaving:ABACUS", "cannot be loaded: SystemExit: 0"),
        ("batch", "abacus_descriptor:ABACUS", "describes a backend with another name"),
    ],
)
def test_an_entry_point_that_is_no_backend_is_named(offer, name, value, said):
    offer({name: value})

    with pytest.raises(BadInputError) as refusal:
        check_config({"backend": name}, source="")

    assert f"backend {name}: the entry point '{value}' of abacus {said}" in refusal.value.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fails", "factories:fail failed: RuntimeError: no beads at all"),
        ("leaves", "factories:leave failed: SystemExit: 0"),
        ("nothing", "factories:make_nothing returned NoneType, and no Backend"),
    ],
)
def test_a_factory_that_makes_no_backend_is_its_package_s_mistake(offer, name, said):
    offer({name: f"factories:{name.upper()}"})
    config = check_config({"backend": name}, source="")

    with pytest.raises(BackendUnavailableError) as refusal:
        make_backend(config, lambda _: None)

    assert refusal.value.message == f"the {name} backend cannot be used: {said}"
    assert "repair the package that adds it" in refusal.value.remedy


def test_two_packages_with_one_name_are_named_and_neither_is_chosen(offer, tmp_path, monkeypatch):
    offer(ENTRY_POINT)
    second = write_distribution(
        tmp_path / "second", "beads", group="asyncbench.backends", entry_points={"abacus": "talking:ABACUS"}, modules={}
    )
    monkeypatch.syspath_prepend(second)

    with pytest.raises(BadInputError, match="backend abacus is added by abacus and beads: uninstall all but one"):
        registry.find_backend("abacus")


def test_what_it_prints_when_it_is_loaded_does_not_mix_with_records(offer, capsys):
    offer({"abacus": "talking:ABACUS"})

    registry.need_backend("abacus")

    assert capsys.readouterr().out == ""


def test_a_backend_of_ours_is_never_replaced(offer):
    offer({"simulated": "abacus_descriptor:ABACUS"})

    assert registry.find_backend("simulated") is registry.SIMULATED
    assert registry.added_names() == ()
