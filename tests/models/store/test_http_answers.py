"""Meaning of a server's answers, without a server."""

from __future__ import annotations

import pytest

from asyncbench.models.store.http_rules import PartFacts, Step, is_downgrade, read_answer, request_headers

URL = "https://published.invalid/file"
PART = PartFacts(url=URL, validator='"one"', total_bytes=1000)


def read(status, part=PART, part_bytes=400, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(status, named, url=URL, part=part, part_bytes=part_bytes)


def test_the_rest_is_asked_for_only_if_the_file_is_the_same():
    assert request_headers(PART, 400) == {
        "Accept-Encoding": "identity",
        "Range": "bytes=400-",
        "If-Range": '"one"',
    }


@pytest.mark.parametrize(
    ("part", "part_bytes"), [(None, 0), (PART, 0), (PartFacts(url=URL, validator="", total_bytes=1000), 400)]
)
def test_all_of_it_is_asked_for_where_a_part_cannot_be_continued(part, part_bytes):
    assert request_headers(part, part_bytes) == {"Accept-Encoding": "identity"}


def test_the_right_range_is_appended():
    reading = read(206, Content_Range="bytes 400-999/1000", ETag='"one"')

    assert (reading.step, reading.facts) == (Step.APPEND, PART)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Range": "bytes 0-999/1000"},
        {"Content_Range": "bytes 400-1099/1100"},
        {"Content_Range": "bytes 400-999/*"},
        {"Content_Range": "bytes 400-999/1000", "ETag": '"two"'},
        {},
    ],
)
def test_any_other_range_is_not_appended(headers):
    assert read(206, **headers).step is Step.ASK_AGAIN


def test_a_range_that_nobody_asked_for_is_refused():
    assert read(206, part=None, part_bytes=0, Content_Range="bytes 0-999/1000").step is Step.REFUSE


def test_a_part_longer_than_the_file_is_dropped():
    assert read(416).step is Step.ASK_AGAIN


def test_an_encoded_file_is_refused():
    assert read(200, Content_Encoding="gzip").step is Step.REFUSE


def test_the_time_of_the_last_change_stands_in_for_a_missing_etag():
    assert read(200, Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT").facts.validator.startswith("Mon")


def test_a_redirect_out_of_encryption_is_seen():
    assert is_downgrade(URL, "http://elsewhere.invalid")
    assert not is_downgrade(URL, "https://elsewhere.invalid")
    assert not is_downgrade("http://127.0.0.1", "http://127.0.0.1/x")
