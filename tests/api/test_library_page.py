"""docs/library.md: each of its examples runs in a process of its own, and is typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
EXAMPLES = dict(
    zip(("script", "trio", "lanes"), re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE), strict=True)
)
SHOWN = {"script": "items/s at batch", "trio": "above 10 ms from concurrency", "lanes": "40 inferences"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_as_it_stands(name, tmp_path):
    environment = {**os.environ, "ASYNCBENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXAMPLES[name]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert SHOWN[name] in done.stdout


def test_the_examples_are_typed(tmp_path):
    pytest.importorskip("mypy", reason="not installed: mypy")
    for name, example in EXAMPLES.items():
        (tmp_path / f"example_{name}.py").write_text(example, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml", *tmp_path.glob("*.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
