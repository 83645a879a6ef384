"""Properties of configurations as people might write them: only what the loader must accept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from asyncbench.errors import BadInputError
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import SweepConfig, check_config
from asyncbench.sweep.latency_limit import LIMIT_PERCENTILES
from asyncbench.sweep.loading import config_schema, load_config, merge_config
from asyncbench.sweep.moved_keys import MOVED_KEYS

PUBLISHED_SCHEMA = Path(__file__).parents[2] / "docs" / "config.schema.json"

SMALL = st.integers(min_value=1, max_value=300)
RANGES = st.builds(
    lambda first, span, step: f"{first}..{first + span}{step}",
    SMALL,
    st.integers(min_value=0, max_value=20),
    st.sampled_from(["", ":x2", ":x10", ":+1", ":+7"]),
)
AXIS_TEXTS = st.lists(SMALL.map(str) | RANGES, min_size=1, max_size=2).map(", ".join)
AXES = SMALL | st.lists(SMALL, min_size=1, max_size=5) | AXIS_TEXTS
DURATIONS = st.builds(
    "{}{}".format,
    st.integers(min_value=1, max_value=999),
    st.sampled_from(["ns", "us", "µs", "μs", " ms", "S", "m", "h"]),
)
RATIOS = st.integers(min_value=1, max_value=10_000).map(lambda hundredths: f"{hundredths / 100:.2f}%")
NAMES = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12)
PRECISIONS = st.sampled_from([str(precision) for precision in Precision])
JSON_VALUES = st.recursive(st.none() | st.booleans() | SMALL | NAMES, st.lists, max_leaves=4)
JSON_OBJECTS = st.dictionaries(NAMES, JSON_VALUES, max_size=3)

OPTIONS = st.dictionaries(NAMES.filter(lambda name: name != "kind"), JSON_VALUES, max_size=2)
KINDS = st.sampled_from(["closed", "poisson", "of.somebody_else-2"])
LOADS = KINDS | st.builds(lambda kind, options: {"kind": kind, **options}, KINDS, OPTIONS)


def some_of(**keys):
    return st.fixed_dictionaries({}, optional=keys)


POINTS = some_of(
    model=NAMES,
    model_file=NAMES | st.none(),
    concurrency=AXES,
    batch=AXES,
    precision=PRECISIONS | st.lists(PRECISIONS, min_size=1, max_size=3) | st.just("fp32, fp16"),
    device=st.sampled_from(["cpu", "cuda:0, cuda:1", ["cpu"], ["cuda:0", "cuda:0"]]),
)
RUN = some_of(
    warmup=DURATIONS | st.sampled_from(["auto", "none", "0s"]),
    stop=some_of(median=RATIOS, p99=RATIOS, min=st.just("100ms"), max=st.sampled_from(["5s", "1m"])),
    latency_limit=DURATIONS | st.builds("{}={}".format, st.sampled_from(LIMIT_PERCENTILES), DURATIONS) | st.none(),
    cell_timeout=DURATIONS,
    driver=st.sampled_from(["pump", "await"]),
    load=LOADS,
    seed=st.integers(min_value=0, max_value=2**63 - 1),
    converted_from=JSON_OBJECTS,
)
LENGTH = some_of(duration=DURATIONS | st.none()) | some_of(iterations=SMALL | st.none())
IMAGES = some_of(input=st.just("images"), images=NAMES | st.none())
INPUT = IMAGES | some_of(input=st.sampled_from(["random", "zeros"]))
REAL_BACKEND = some_of(backend=st.sampled_from(["auto", "onnxruntime", "tensorrt"]))
SIZES = st.builds("{}{}".format, st.integers(min_value=1, max_value=999), st.sampled_from(["B", "KiB", " MB", "gib"]))
MEMORY = some_of(
    memory_budget=SIZES | st.none(),
    host_memory_budget=SIZES,
    memory_reserve=SIZES | st.none(),
    on_pressure=st.sampled_from(["backpressure", "skip", "fail"]),
)
OWN_OPTIONS = some_of(
    onnxruntime=some_of(intra_op_threads=SMALL),
    tensorrt=some_of(
        engine=st.sampled_from(["auto", "static", "dynamic"]),
        depth=st.integers(min_value=1, max_value=16),
        gpu_time=st.booleans(),
        workspace=SIZES | st.none(),
        tactic_sources=st.just("CUBLAS, CUDNN") | st.none(),
    ),
)
FAULTS = st.fixed_dictionaries({"at": SMALL, "kind": st.sampled_from(["hang", "kill"])}, optional={"batch": SMALL})
DEVICES = some_of(
    service=some_of(median=DURATIONS, kind=st.sampled_from(["constant", "bimodal"]), sigma=st.just(0.5)),
    slots=SMALL,
    memory=SIZES,
    faults=st.lists(FAULTS, max_size=2),
    seed=SMALL | st.none(),
)
SIMULATED = st.fixed_dictionaries({"backend": st.just("simulated")}, optional={"simulated": DEVICES})
# Mode latency is left out: it takes no axes.
QUALITY = some_of(
    mode=st.sampled_from(["throughput", "accuracy"]), allow_overlap=st.booleans()
) | st.fixed_dictionaries({"dataset": NAMES}, optional={"truth": NAMES, "subset": NAMES, "mode": st.just("accuracy")})

SWEEPS = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    POINTS,
    RUN,
    LENGTH,
    INPUT,
    REAL_BACKEND | SIMULATED,
    MEMORY,
    QUALITY,
    OWN_OPTIONS,
)


@pytest.fixture(scope="module")
def validator():
    Draft202012Validator.check_schema(config_schema())
    return Draft202012Validator(config_schema())


def test_the_published_schema_is_the_one_of_the_code():
    pretty = json.dumps(config_schema(), indent=2) + "\n"

    assert PUBLISHED_SCHEMA.read_text(encoding="utf-8") == pretty


@given(values=SWEEPS)
def test_the_schema_accepts_what_the_loader_accepts(validator, values):
    load_config(json.dumps(values), source="sweep.json", base_folder="")

    validator.validate(values)
    validator.validate([{"$schema": "../docs/config.schema.json", **values}])


DIGITS = st.text(alphabet="0123456789", min_size=1, max_size=4) | st.sampled_from(["0", "00", "1", "9" * 29, "9" * 31])
NUMBERS = st.builds("{}{}".format, DIGITS, st.just("") | DIGITS.map(".{}".format))
SPACES = st.sampled_from(["", " ", "\t", "\u00a0"])
UNITS = st.sampled_from(
    [*"smhBbk%x", "ms", "us", "µs", "μs", "MS", "min", "w", "weeks", "days", "KiB", "Gb", "tib", "PB", ""]
)
QUANTITIES = st.builds("{}{}{}{}{}".format, SPACES, st.sampled_from(["", "", "-", "+"]), NUMBERS, SPACES, UNITS)
STEPS = st.sampled_from(["", ":", ":x", ":+", ":x1", ":x02", ":x9999999", ":+0", ":+3", ":y2"])
WILD_ITEMS = st.builds(
    "{}{}{}".format,
    DIGITS,
    st.sampled_from(["", "..", "-"]).flatmap(lambda dots: st.just(dots) | DIGITS.map(f"{dots}{{}}".format)),
    STEPS,
)
WILD_AXES = st.lists(WILD_ITEMS | DIGITS | SPACES, max_size=3).map(",".join)
WILD_WORDS = st.sampled_from(
    ["auto", "none", "None", "fp32", "fp32,int8", "fp33", "cpu,", ",", "throughput", "latency", "pump", "spin"]
)
WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 17, 2**63 - 1, 2**63, 10**30, 0.5, 1.0, -0.0])
    | QUANTITIES
    | WILD_AXES
    | WILD_WORDS
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["min", "max", "p99", "median", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
# What `ONLY_THE_LOADER` says, in the words of the refusals.
UNSAYABLE = (
    r"are both given",
    r"are given, but",
    r"is given, but",
    r"is longer than the longest",
    r"others are given",
    r"runs backwards",
    r"more than [0-9,]+$",
    r"is too large",
    r"'[\s0.]*[1-9].*' is out of range",
    r"\bis -?[0-9]+\.0$",
    r"\[.*[0-9]\.0.*\] is not an axis",
    r"-?[0-9]+\.0 is not an axis",
    r"cannot be used as a number",  # inside `converted_from`; a slip below holds it of other keys
)


VALIDATOR = Draft202012Validator(config_schema())


def refusal_of(document):
    """Return what the loader says against a document, None where it is loaded."""
    try:
        load_config(json.dumps(document), source="sweep.json", base_folder="")
    except BadInputError as refusal:
        return refusal.message
    return None


@given(key=st.sampled_from(sorted([*SweepConfig.model_fields, *MOVED_KEYS])), value=WILD)
@example(key="duration", value="5")
@example(key="duration", value="2weeks")
@example(key="duration", value="0s")
@example(key="duration", value="9" * 31 + "s")
@example(key="memory_budget", value="0GiB")
@example(key="stop", value={"p99": "0%"})
@example(key="stop", value={"p99": "101%"})
@example(key="stop", value={"median": "100.0%"})
@example(key="batch", value="1..")
@example(key="batch", value="0")
@example(key="batch", value="1..8:x1")
@example(key="batch", value="1000001")
@example(key="batch", value=[])
@example(key="seed", value=2**63)
@example(key="iterations", value=-1)
@example(key="load", value={"kind": "closed", "rate": 2**63})
@example(key="load", value={"kind": "at random"})
def test_what_the_schema_accepts_is_loaded_but_for_what_no_schema_can_say(key, value):
    refusal = refusal_of({key: value})

    if refusal is None:
        VALIDATOR.validate({key: value})
    elif VALIDATOR.is_valid({key: value}):
        assert any(re.search(reason, refusal) for reason in UNSAYABLE), refusal


@pytest.mark.parametrize(
    "task",
    [
        {"target": "tensorrt", "workload": "resnet50", "params": {}},
        {"target": "tensorrt", "workload": "x", "params": {}},
    ],
)
def test_a_task_is_a_document_by_itself(validator, task):
    is_known = task["workload"] == "resnet50"

    assert validator.is_valid(task) is is_known
    if is_known:
        assert len(load_config(json.dumps(task), source="task.json", base_folder="")) == 1


@given(text=AXIS_TEXTS | st.text(alphabet="0123456789.,:x+ ", max_size=20))
def test_the_schema_accepts_every_axis_that_the_loader_accepts(validator, text):
    try:
        check_config({"batch": text, "concurrency": 1}, source="sweep.json")
    except BadInputError:
        return

    validator.validate({"batch": text})


@pytest.mark.parametrize(
    "values",
    [
        {"batchsize": 1},
        {"batch": "1-8"},
        {"batch": 0},
        {"batch": "1..8:2"},
        {"duration": "5"},
        {"duration": "5weeks"},
        {"duration": "0s"},
        {"duration": "-1s"},
        {"batch": "1.."},
        {"batch": "0..4"},
        {"batch": "1..8:x1"},
        {"batch": "1000001"},
        {"batch": []},
        {"batch": [0]},
        {"precision": []},
        {"device": []},
        {"iterations": 0},
        {"seed": 2**63},
        {"memory_budget": "0B"},
        {"stop": {"median": "0%"}},
        {"stop": {"median": "100.1%"}},
        {"stop": {"p99": "5"}},
        {"precision": "fp33"},
        {"device": "cpu,"},
        {"seed": "1"},
        {"load": ""},
        {"load": "at random"},
        {"load": {"rate": 1}},
        {"load": {"kind": None}},
        {"tensorrt": {"depth": 17}},
        {"tensorrt": {"depht": 1}},
        {"tensorrt": []},
        {"depth": 17},
        {"backend": "onnx"},
        {"backend": "simulated", "simulated": {"slots": 0}},
        {"backend": "simulated", "simulated": {"faults": [{"at": 1}]}},
        {"backend": "simulated", "simulated": {"service": {"median": "1"}}},
        [],
        [{"target": "tensorrt", "workload": "resnet50", "params": {"batch_size": 5}}],
        [{"target": "openvino_ubuntu", "workload": "resnet50", "params": {}}],
    ],
)
def test_the_schema_and_the_loader_refuse_the_same_slips(validator, values):
    with pytest.raises(BadInputError):
        load_config(json.dumps(values), source="sweep.json", base_folder="")

    assert not validator.is_valid(values)


def test_every_key_of_the_schema_says_what_it_means():
    keys = config_schema()["$defs"]["SweepConfig"]["properties"]

    assert [name for name, key in keys.items() if not key.get("description")] == []


@given(values=SWEEPS)
def test_a_configuration_in_a_record_can_be_run_again(values):
    config = check_config(values, source="sweep.json")

    again = load_config(config.model_dump_json(), source="record", base_folder="")

    assert again == (config,)
    assert again[0].model_label == config.model_label


@given(values=SWEEPS)
def test_a_single_layer_merges_to_itself(values):
    config = check_config(values, source="sweep.json")

    assert merge_config(config, source="the sweep") == config


@given(lower=SWEEPS, upper=SWEEPS)
def test_what_the_upper_layer_says_is_always_done(lower, upper):
    below, above = (check_config(values, source="sweep.json") for values in (lower, upper))

    merged = merge_config(below, above, source="the sweep")

    by_key = {"stop", *above.section_names()}
    for name in above.model_fields_set - by_key - {"load"}:
        assert getattr(merged, name) == getattr(above, name)
    for name in above.model_fields_set & by_key:
        section = getattr(above, name)
        assert [getattr(getattr(merged, name), key) for key in section.model_fields_set - {"service"}] == [
            getattr(section, key) for key in section.model_fields_set - {"service"}
        ]
    if "load" in above.model_fields_set:
        assert merged.load.kind == above.load.kind
        assert not above.load.options or merged.load == above.load


@given(values=SWEEPS)
def test_the_grid_of_all_devices_has_as_many_different_cells_as_announced(values):
    config = check_config(values, source="sweep.json")

    cells = [cell for device in config.device for cell in config.cells(device)]

    assert len(cells) == len(set(cells)) == config.cell_count
