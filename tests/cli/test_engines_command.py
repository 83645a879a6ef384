"""`asyncbench engines` on a cache made by the cache's own code."""

import json
from dataclasses import replace

import pytest
import trio

from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.identity import EngineIdentity
from asyncbench.backends.tensorrt.cache.obtain import obtain_engine
from asyncbench.backends.tensorrt.cache.sidecar import BuildFacts

IDENTITY = EngineIdentity(
    model_sha256="0" * 64,
    precision="fp16",
    profiles=((1, 1, 1),),
    static_shapes=True,
    flags=(),
    calibration_sha256=None,
    flavour="tensorrt",
    flavour_version="8.6.0",
    gpu_name="Some GPU",
    compute_capability="9.0",
    driver_major=13,
    cuda_major=13,
    recipe=1,
)


@pytest.fixture
def cache(tool):
    """A cache with engines for batch 1 of two precisions, 3 kB each."""
    folder = EngineFolder(root=tool.folder / "cache" / "engines")

    async def build(path):
        path.write_bytes(b"ftrt" * 750)
        return BuildFacts(build_ns=1_500_000_000)

    async def fill():
        for precision in ("fp16", "fp32"):
            identity = replace(IDENTITY, precision=precision)
            await obtain_engine(folder, identity, label=f"net {precision}", build=build, report=lambda _: None)

    trio.run(fill)
    return folder


@pytest.mark.usefixtures("cache")
def test_list_names_every_engine_with_size_version_and_gpu(tool):
    done = tool.run("engines", "list")

    assert len(done.stdout.splitlines()) == 2
    assert "net fp16; tensorrt 8.6.0, Some GPU; built" in done.stdout
    assert "2.93 KiB" in done.stdout


def test_inspect_prints_the_sidecar_and_says_whether_the_engine_is_sound(tool, cache):
    key = IDENTITY.key()

    sound = tool.run("engines", "inspect", key[:10])
    cache.engine_path(key).write_bytes(b"x")
    damaged = tool.run("engines", "inspect", key)

    assert json.loads(sound.stdout)["key"] == key
    assert sound.stderr.strip() == "sound"
    assert damaged.stderr.startswith("damaged, will be rebuilt:")


@pytest.mark.usefixtures("cache")
def test_inspect_refuses_a_key_that_no_engine_has(tool):
    done = tool.run("engines", "inspect", "zzz", check_code=2)

    assert "no engine in " in done.stderr
    assert done.stderr.endswith("starts with 'zzz': `asyncbench engines list` shows the keys\n")


def test_prune_removes_what_is_too_much_and_says_why(tool, cache):
    done = tool.run("engines", "prune", "--max-size", "4KiB")

    assert "the cache is too large" in done.stdout
    assert len(list(cache.root.glob("*.engine"))) == 1


def test_prune_without_a_rule_removes_nothing(tool, cache):
    tool.run("engines", "prune", check_code=2)

    assert len(list(cache.root.glob("*.engine"))) == 2


def test_an_empty_cache_is_no_error(tool):
    done = tool.run("engines", "list")

    assert done.stdout == ""
    assert done.stderr.startswith("0 engines in ")
