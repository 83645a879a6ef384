from __future__ import annotations

from pathlib import Path

from asyncbench.backends.tensorrt.build.child import add_to_timing_cache, read_timing_cache


def test_what_a_build_learned_is_added_to_what_others_wrote_meanwhile(tmp_path: Path):
    path = tmp_path / "gpu.timing"

    add_to_timing_cache(path, lambda known: known + b"a")
    add_to_timing_cache(path, lambda known: known + b"b")

    assert read_timing_cache(path) == b"ab"
    assert list(tmp_path.iterdir()) == [path]


def test_a_version_without_timings_writes_no_file(tmp_path: Path):
    path = tmp_path / "gpu.timing"

    add_to_timing_cache(path, lambda _known: b"")

    assert not path.exists()
    assert read_timing_cache(path) == b""


def test_without_a_path_nothing_is_merged():
    def fail(_known: bytes) -> bytes:
        raise AssertionError

    add_to_timing_cache(None, fail)

    assert read_timing_cache(None) == b""
