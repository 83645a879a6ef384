"""The report's own code, and a smaller form of what it shows."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from scipy.special import bdtr, bdtrc

from asyncbench.measurement.percentile import minimum_samples

SCRIPT = Path(__file__).parents[2] / "scripts" / "statistics-report"
DISTRIBUTIONS = ["lognormal, 10 %", "exponential", "uniform", "bimodal 70/30", "Pareto 2.5"]


@pytest.fixture(scope="module")
def report():
    loader = SourceFileLoader("statistics_report", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize(
    ("ratios", "runs"), [((0.5,), 1_000), ((0.9,), 1_000), ((0.5, 0.9, 0.95, 0.99), 1_000), ((0.999,), 500)]
)
def test_intervals_cover_the_truth_in_94_to_96_percent_of_samples(report, distribution, ratios, runs):
    quantile, n = report.DISTRIBUTIONS[distribution], minimum_samples(ratios[-1])

    shares = report.coverage(quantile, report.sampler(quantile, n), n, ratios, runs)

    for share in shares:
        covered = round(share * runs)
        assert bdtr(covered, runs, 0.94) > 0.001, "fewer than 94 % can be by chance"
        assert bdtrc(covered - 1, runs, 0.96) > 0.001, "more than 96 % can be by chance"


def test_the_distributions_are_the_five_that_the_document_shows(report):
    assert list(report.DISTRIBUTIONS) == DISTRIBUTIONS


def test_a_section_is_replaced_between_its_markers_only(report):
    text = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n<!-- begin: y -->\n<!-- end: y -->\n"

    once = report.replace_section(text, "x", ["new", r"\1"])

    assert once == text.replace("old", "new\n\\1")
    assert report.replace_section(once, "x", ["new", r"\1"]) == once


def test_a_document_without_the_markers_is_refused(report):
    with pytest.raises(ValueError, match="begin: x"):
        report.replace_section("nothing", "x", [])


def test_the_document_has_a_place_for_every_section(report):
    text = report.DOCUMENT.read_text()

    for name in report.SECTIONS:
        assert "| --- |" in report.replace_section(text, name, ["| --- |"])


def test_the_same_seed_makes_the_same_section(report):
    assert list(report.drift_lines(2)) == list(report.drift_lines(2))
