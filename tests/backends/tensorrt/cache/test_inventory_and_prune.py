from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.cache import (
    BuildFacts,
    EngineFolder,
    EngineIdentity,
    PrunePolicy,
    Sidecar,
    inspect_engine,
    list_engines,
    obtain_engine,
    prune,
)
from asyncbench.backends.tensorrt.cache.inventory import ListedEngine
from asyncbench.backends.tensorrt.cache.prune import choose_victims
from asyncbench.errors import BadInputError
from asyncbench.files.file_lock import hold_lock_nowait

DAY_NS = 86_400 * 10**9


def identity(number: int, version: str = "8.6.0") -> EngineIdentity:
    return EngineIdentity(
        model_sha256=f"{number:064x}",
        precision="fp16",
        profiles=((1, 1, 1),),
        static_shapes=True,
        flags=(),
        calibration_sha256=None,
        flavour="tensorrt",
        flavour_version=version,
        gpu_name="NVIDIA H200",
        compute_capability="9.0",
        driver_major=570,
        cuda_major=12,
        recipe=1,
    )


def listed(number: int, *, engine_bytes: int, used_at_ns: int, version: str = "8.6.0") -> ListedEngine:
    one = identity(number, version)
    sidecar = Sidecar(
        key=one.key(),
        label=f"net {number}",
        identity=one,
        engine_sha256="",
        engine_bytes=engine_bytes,
        built_at="2026-01-31T12:00:00Z",
        build=BuildFacts(build_ns=1),
    )
    return ListedEngine(sidecar=sidecar, used_at_ns=used_at_ns)


@pytest.fixture
def folder(tmp_path: Path) -> EngineFolder:
    """Three engines of 100 bytes, used on day 1, 2 and 3; the first by another version."""
    folder = EngineFolder(root=tmp_path)

    async def build(path: Path) -> BuildFacts:
        await trio.Path(path).write_bytes(b"x" * 100)
        return BuildFacts(build_ns=1)

    async def fill() -> None:
        for day, version in ((1, "8.5.3"), (2, "8.6.0"), (3, "8.6.0")):
            one = identity(day, version)
            await obtain_engine(folder, one, label=f"net {day}", build=build, report=lambda _: None)
            os.utime(folder.sidecar_path(one.key()), ns=(day * DAY_NS, day * DAY_NS))

    trio.run(fill)
    return folder


def test_engines_are_listed_last_used_first(folder):
    assert [one.sidecar.label for one in list_engines(folder)] == ["net 3", "net 2", "net 1"]


def test_a_folder_that_was_never_used_lists_nothing(tmp_path):
    assert list_engines(EngineFolder(root=tmp_path / "none")) == ()


def test_a_sound_engine_is_inspected_by_the_start_of_its_key(folder):
    key = identity(2).key()

    inspection = inspect_engine(folder, key[:12])

    assert (inspection.sidecar.key, inspection.damage) == (key, "")


def test_inspection_says_what_is_wrong_and_changes_nothing(folder):
    path = folder.engine_path(identity(2).key())
    path.write_bytes(b"y" * 100)

    assert inspect_engine(folder, identity(2).key()).damage == "its checksum differs"
    assert path.exists()


@pytest.mark.parametrize("prefix", ["", "no such key"])
def test_a_key_that_names_no_single_engine_is_refused(folder, prefix):
    with pytest.raises(BadInputError, match="engines list"):
        inspect_engine(folder, prefix)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (PrunePolicy(), []),
        (PrunePolicy(unused_for_ns=2 * DAY_NS), ["net 1", "net 2"]),
        (PrunePolicy(keep_version="tensorrt 8.6.0"), ["net 1"]),
        (PrunePolicy(max_bytes=100), ["net 1", "net 2"]),
        (PrunePolicy(max_bytes=250, keep_version="tensorrt 8.6.0"), ["net 1"]),
    ],
)
def test_prune_removes_what_the_policy_says_longest_unused_first(folder, policy, expected):
    removed = prune(folder, policy, now_ns=4 * DAY_NS)

    assert [victim.label for victim in removed] == expected
    assert len(list_engines(folder)) == 3 - len(expected)
    assert len(list(folder.root.glob("*.engine"))) == 3 - len(expected)


def test_prune_leaves_an_engine_that_somebody_is_building(folder):
    with hold_lock_nowait(folder.lock_path(identity(2).key())) as held:
        removed = prune(folder, PrunePolicy(max_bytes=0), now_ns=0)

    assert held
    assert [victim.label for victim in removed] == ["net 1", "net 3"]


def test_prune_empties_the_quarantine_and_removes_what_dead_builders_left(folder):
    key = identity(9).key()
    (folder.quarantine() / f"{key}.engine").write_bytes(b"bad")
    (folder.root / f"{key}.77.tmp").write_bytes(b"half")

    prune(folder, PrunePolicy(), now_ns=0)

    assert not list(folder.quarantine().iterdir())
    assert not list(folder.root.glob(f"{key}*"))


def test_a_lock_taken_on_a_file_that_prune_removed_counts_for_nothing(folder):
    path = folder.lock_path(identity(1).key())
    with hold_lock_nowait(path) as old:
        path.unlink()

        with hold_lock_nowait(path) as new:
            assert old
            assert new  # a new file, which excludes those who come now


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 50)), max_size=12),
    st.integers(0, 3000),
)
def test_what_is_left_fits_and_nothing_used_later_goes_before_what_was_used_earlier(sizes_and_times, max_bytes):
    engines = [listed(number, engine_bytes=size, used_at_ns=at) for number, (size, at) in enumerate(sizes_and_times)]

    victims = {victim.key for victim in choose_victims(engines, PrunePolicy(max_bytes=max_bytes), now_ns=100)}

    kept = [one for one in engines if one.sidecar.key not in victims]
    gone = [one for one in engines if one.sidecar.key in victims]
    assert sum(one.sidecar.engine_bytes for one in kept) <= max_bytes
    assert all(left.used_at_ns >= lost.used_at_ns for left in kept for lost in gone)


def test_an_engine_that_is_not_needed_any_more_says_why():
    old = listed(1, engine_bytes=1, used_at_ns=0, version="8.5.3")

    (victim,) = choose_victims([old], PrunePolicy(keep_version="tensorrt 8.6.0"), now_ns=0)

    assert dataclasses.asdict(victim)["reason"] == "built by tensorrt 8.5.3"
