"""Rules of HTTP for a file of which a part may be there already. Pure: RFC 9110, sections 13 to 15."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from asyncbench.text_enum import TextEnum

_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416
# Request time-out, too early, too many requests, and what servers and proxies answer while they have trouble.
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """The file that a part belongs to; the JSON beside the part.

    Attributes:
        validator: A strong ETag, else the time of the last change: what says that the file there is still the same.
            Empty where the server gave neither: then the part cannot be continued.
        total_bytes: Size of the whole file; None where the server did not say.
    """

    url: str
    validator: str
    total_bytes: int | None


class Step(TextEnum):
    """The next step after an answer."""

    APPEND = "append"
    START_OVER = "start over"  # the body is the whole file
    ASK_AGAIN = "ask again"  # for the whole file: this body cannot be used
    RETRY = "retry"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer, understood.

    Attributes:
        reason: For people; empty where nothing is out of the ordinary.
        facts: Of the file; meaningful where the body is to be used.
    """

    step: Step
    reason: str
    facts: PartFacts


def request_headers(facts: PartFacts | None, part_bytes: int) -> dict[str, str]:
    """Return the headers that ask for the rest of a part, or for the whole file."""
    headers = {"Accept-Encoding": "identity"}
    if facts is not None and facts.validator and part_bytes:
        headers |= {"Range": f"bytes={part_bytes}-", "If-Range": facts.validator}
    return headers


def read_answer(
    status: int, headers: Mapping[str, str], *, url: str, part: PartFacts | None, part_bytes: int
) -> Reading:
    """Return what to do with an answer to `request_headers(part, part_bytes)`.

    Args:
        headers: Found whatever the case of the letters, as httpx2's are.
        url: What was asked for, before redirects: those of object stores differ each time.
    """
    facts = PartFacts(url=url, validator=_validator(headers), total_bytes=_total_bytes(status, headers))
    if status in _TEMPORARY:
        return Reading(step=Step.RETRY, reason=f"the server answered {status}", facts=facts)
    if status == _NOT_SATISFIABLE and part_bytes:
        return Reading(step=Step.ASK_AGAIN, reason="the server has no more than the part", facts=facts)
    if status == _PARTIAL and part is not None and part_bytes:
        return _read_partial(headers, part, part_bytes, facts)
    if status != _OK:
        return Reading(step=Step.REFUSE, reason=f"the server answered {status}", facts=facts)
    if headers.get("Content-Encoding", "identity") != "identity":
        return Reading(step=Step.REFUSE, reason="the server encoded the file, though asked not to", facts=facts)
    return Reading(step=Step.START_OVER, reason=_why_all(part, part_bytes, facts), facts=facts)


def is_downgrade(asked: str, answered: str) -> bool:
    """Return whether a redirect led from an encrypted address to a plain one, whose bytes anybody may have changed."""
    return asked.startswith("https:") and not answered.startswith("https:")


def _read_partial(headers: Mapping[str, str], part: PartFacts, part_bytes: int, facts: PartFacts) -> Reading:
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None or int(match.group(1)) != part_bytes:
        return Reading(step=Step.ASK_AGAIN, reason="the server sent another range than was asked for", facts=facts)
    changed = facts.validator not in {"", part.validator} or facts.total_bytes != (
        part.total_bytes or facts.total_bytes
    )
    if changed:
        return Reading(step=Step.ASK_AGAIN, reason="the file has changed there", facts=facts)
    whole = PartFacts(url=part.url, validator=part.validator, total_bytes=facts.total_bytes)
    return Reading(step=Step.APPEND, reason="", facts=whole)


def _why_all(part: PartFacts | None, part_bytes: int, facts: PartFacts) -> str:
    if part is None or not part_bytes:
        return ""
    if not part.validator or not facts.validator:
        return "the server does not say whether the file is still the same"
    same = part.validator == facts.validator
    return "the server cannot resume" if same else "the file has changed there"


def _validator(headers: Mapping[str, str]) -> str:
    etag = headers.get("ETag", "")
    # A weak ETag says that two files mean the same, not that their bytes are: If-Range does not take it.
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")


def _total_bytes(status: int, headers: Mapping[str, str]) -> int | None:
    if status == _PARTIAL:
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        return int(match.group(3)) if match else None
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None
