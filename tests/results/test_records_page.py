from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asyncbench.results.cell_parts import Memory, OutputsChecked, Warmup
from asyncbench.results.latency import Latency, LatencyBlock
from asyncbench.results.record import CellRecord, HeaderRecord, TrailerRecord
from asyncbench.results.status import ReasonCode, Status

PAGE = Path(__file__).parents[2] / "docs" / "records.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("record", [HeaderRecord, CellRecord, TrailerRecord, Latency, LatencyBlock, Warmup])
def test_every_key_is_on_the_page(page, record):
    assert [key for key in record.model_fields if not re.search(rf"\b{key}\b", page)] == []


def test_every_key_of_the_smaller_parts_is_on_the_page_or_explained_by_its_siblings(page):
    keys = {*Memory.model_fields, *OutputsChecked.model_fields} - {"predicted_device_bytes", "predicted_host_bytes"}

    assert [key for key in sorted(keys) if key not in page] == []
    assert "`predicted_…`" in page


def test_every_status_and_every_code_of_a_verdict_is_on_the_page(page):
    assert [word.value for word in (*Status, *ReasonCode) if f"`{word.value}`" not in page] == []


def test_the_python_example_runs(page, golden_path):
    example = page.partition("```python\n")[2].partition("```")[0]

    output = subprocess.run(
        [sys.executable, "-c", example, str(golden_path)], check=True, capture_output=True, text=True
    ).stdout

    assert output == "1 1 measured 203.0 6012927\n1 2 does_not_fit None None\n"


def test_the_jq_example_runs(page, golden_path):
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    example = page.partition("## With jq\n")[2].partition("##")[0].replace("results.jsonl", f"'{golden_path}'")

    output = subprocess.run(["sh", "-c", example], check=True, capture_output=True, text=True).stdout

    assert [float(word) for word in output.split()] == [1, 1, 203, 6_012_927]
