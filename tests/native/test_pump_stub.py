"""The committed stub says what the module has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.native, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_committed_stub_is_what_the_module_generates(tmp_path):
    generated = tmp_path / "_pump.pyi"

    subprocess.run([ROOT / "scripts" / "native-test", "stub", generated], check=True)

    assert generated.read_text(encoding="utf-8") == (ROOT / "asyncbench" / "_pump.pyi").read_text(encoding="utf-8")
