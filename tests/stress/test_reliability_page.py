"""Rows of the page after several runs."""

import pytest

from asyncbench.errors import BadInputError
from asyncbench.stress.report import Row, merge_rows, read_rows, render_page, update_page


def row(scenario, *, part="", promise="it holds", kept=True, date="2026-01-01T00:00:00Z", figure="3 times"):
    return Row(
        scenario=scenario,
        part=part,
        promise=promise,
        kept=kept,
        figure=figure,
        command=f"scripts/stress --only {scenario}",
        date=date,
        machine="a board",
        took_s=1.5,
    )


def test_a_later_run_replaces_the_rows_of_its_own_scenario_only():
    before = [row("kill"), row("kill", promise="an old promise"), row("disk")]

    rows = merge_rows(before, [row("kill", date="2026-02-02T00:00:00Z")])

    assert [(each.scenario, each.promise, each.date[:7]) for each in rows] == [
        ("disk", "it holds", "2026-01"),
        ("kill", "it holds", "2026-02"),
    ]


def test_a_part_replaces_the_rows_of_that_part_only():
    before = [row("gpu", part="fill-50"), row("gpu", part="fill-5")]

    rows = merge_rows(before, [row("gpu", part="fill-5", kept=False)])

    assert [(each.part, each.kept) for each in rows] == [("fill-50", True), ("fill-5", False)]


def test_a_scenario_that_cannot_run_here_leaves_what_another_machine_found():
    before = [row("gpu", part="fill-50")]

    rows = merge_rows(before, [row("gpu", promise="runs", kept=None)])

    assert rows == before


def test_a_skipped_scenario_is_on_the_page_until_it_ran_somewhere():
    skipped = row("gpu", promise="runs", kept=None)

    alone = merge_rows([], [skipped])
    later = merge_rows(alone, [row("gpu", part="fill-50")])

    assert alone == [skipped]
    assert [each.part for each in later] == ["fill-50"]


def test_the_page_says_what_was_not_kept_and_what_was_not_tried():
    page = render_page([row("kill"), row("kill", kept=False, figure="a|b\nc"), row("kill", kept=None)])

    assert page.count("## kill") == 1
    assert page.count("`scripts/stress --only kill`, 2026-01-01T00:00:00Z, 2 s, on a board:") == 1
    assert "| it holds | yes | 3 times |" in page
    assert "| it holds | **NO** | a\\|b c |" in page
    assert "| it holds | not tried | 3 times |" in page


def test_a_page_can_be_made_again_from_what_lies_beside_it(tmp_path):
    path = tmp_path / "docs" / "reliability.md"
    update_page(path, [row("kill"), row("disk")])
    update_page(path, [row("kill", figure="4 times")])

    rows = read_rows(path)

    assert [(each.scenario, each.figure) for each in rows] == [("disk", "3 times"), ("kill", "4 times")]
    assert path.read_text() == render_page(rows)


@pytest.mark.parametrize("text", ["{", '{"scenario": "kill"}\n', "[]\n"])
def test_what_lies_beside_the_page_and_is_not_ours_is_refused(tmp_path, text):
    (tmp_path / "reliability.jsonl").write_text(text)

    with pytest.raises(BadInputError, match="not rows of a stress run"):
        read_rows(tmp_path / "reliability.md")
