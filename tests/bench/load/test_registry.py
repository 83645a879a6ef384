"""The registry: which load a configuration gets, and what is said where it gets none."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncbench.bench.load.closed_loop import CLOSED_LOOP
from asyncbench.bench.load.registry import choose_load
from asyncbench.errors import BadInputError
from asyncbench.sweep.load import LoadConfig
from asyncbench.testing import write_distribution

STEADY_LOAD = Path(__file__).parents[2] / "packages" / "steady_load.py"
BROKEN = """
import sys
NOTHING = None
def __getattr__(name):
    if name == "LEAVES":
        sys.exit("no licence")
    raise AttributeError(name)
"""


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch):
    """Two packages that offer loads; both are as if they were installed."""
    steady = {"steady": "steady_load:LOAD", "closed": "steady_load:LOAD", "twice": "steady_load:LOAD"}
    broken = {
        "of_no_module": "no_such_module:LOAD",
        "of_no_name": "broken_load:LOAD",
        "of_no_value": "broken_load:NOTHING",
        "that_leaves": "broken_load:LEAVES",
        "twice": "broken_load:NOTHING",
    }
    group = "asyncbench.loads"
    steady_module, broken_module = {"steady_load": STEADY_LOAD.read_text()}, {"broken_load": BROKEN}
    write_distribution(tmp_path, "steady_load", group=group, entry_points=steady, modules=steady_module)
    write_distribution(tmp_path, "broken_load", group=group, entry_points=broken, modules=broken_module)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def load_config(kind, **options):
    return LoadConfig.model_validate({"kind": kind, **options})


def test_a_load_of_another_package_comes_with_its_options_and_the_seed():
    chosen = choose_load(load_config("steady", every_ms=5), seed=3)

    assert (chosen.name, chosen.options.every_ms, chosen.seed) == ("steady", 5, 3)
    assert not chosen.is_closed_loop


def test_a_package_cannot_take_the_place_of_a_load_that_is_built_in():
    assert choose_load(load_config("closed"), seed=0).descriptor is CLOSED_LOOP


def refusal_of(kind, **options):
    with pytest.raises(BadInputError) as refused:
        choose_load(load_config(kind, **options), seed=0)
    return refused.value


def test_an_unknown_load_is_refused_with_all_that_there_are_and_the_one_that_may_be_meant():
    assert str(refusal_of("stead")) == (
        'there is no load "stead": '
        "did you mean steady? choose closed, of_no_module, of_no_name, of_no_value, steady, that_leaves, twice"
    )


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (
            "of_no_module",
            "(no_such_module:LOAD) cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("of_no_name", "(broken_load:LOAD) cannot be loaded: AttributeError: LOAD"),
        ("of_no_value", "(broken_load:NOTHING) is of type NoneType, and no LoadDescriptor"),
        ("that_leaves", "(broken_load:LEAVES) cannot be loaded: SystemExit: no licence"),
    ],
)
def test_a_load_that_cannot_be_loaded_is_refused_with_its_package_and_why(kind, why):
    assert str(refusal_of(kind)) == f'load "{kind}" of broken_load {why}: mend it, or choose --load closed'


def test_a_load_that_two_packages_offer_is_refused():
    assert refusal_of("twice").message == 'load "twice" is offered by broken_load and steady_load'


@pytest.mark.parametrize(
    ("kind", "options", "line"),
    [
        ("steady", {"every": 1}, 'load steady: key "load.every" is unknown: did you mean key "load.every_ms"?'),
        ("steady", {"every_ms": 0}, 'load steady: key "load.every_ms" is 0: make it greater than 0'),
        ("closed", {"rate": "100/s"}, 'load closed: key "load.rate" is unknown: remove it'),
    ],
)
def test_options_that_the_load_does_not_take_are_refused_by_their_key(kind, options, line):
    assert str(refusal_of(kind, **options)) == line


def test_metadata_that_nobody_can_read_are_told_of(packages):
    (packages / "broken_load-1.0.dist-info" / "entry_points.txt").write_bytes(b"[asyncbench.loads]\n\xff = x\n")

    with pytest.raises(BadInputError, match="the installed packages cannot be searched for loads: UnicodeDecodeError"):
        choose_load(load_config("steady"), seed=0)
