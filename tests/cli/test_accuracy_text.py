"""What people see of an accuracy: also what was left out of it, and why."""

from __future__ import annotations

from asyncbench.cli.show.text import accuracy_text
from asyncbench.results.accuracy import Accuracy, SkippedItem


def accuracy(*skipped):
    return Accuracy(
        dataset="ten",
        subset="all",
        subset_hash="0" * 64,
        n=7,
        skipped=len(skipped),
        skipped_items=[SkippedItem(name=name, reason=reason) for name, reason in skipped],
        metrics={},
    )


def test_nothing_is_said_of_what_was_left_out_where_nothing_was():
    assert accuracy_text(accuracy()).endswith(" of 7")


def test_what_was_left_out_is_counted_and_the_first_is_named_with_the_reason():
    differs, broken = "it is 272 x 409 pixels, the instances say 409 x 272", "it cannot be decoded"

    one = accuracy_text(accuracy(("p0.jpg", differs)))
    more = accuracy_text(accuracy(("p0.jpg", differs), ("p1.jpg", broken)))

    assert one.endswith(f"of 7; 1 left out: p0.jpg: {differs}")
    assert more.endswith(f"of 7; 2 left out, such as p0.jpg: {differs}")


def test_a_name_with_a_line_break_does_not_break_the_line():
    assert accuracy_text(accuracy(("a\nb.jpg", "it has no label"))).isprintable()
