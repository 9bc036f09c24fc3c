"""Texts that are dates and times, in files without types for them."""

from __future__ import annotations

import contextlib
import datetime as dt
import re

import pyarrow as pa

from lossctl.data.faults import TextError

TIME = "a date or a time"
ZONED = "a time that has a zone"


def written(text: str) -> dt.datetime | None:
    """Read a date, or a date and a time, as people write it; None where the text is neither."""
    # Python takes digits alone for a date as well, which are as good a number or a code.
    return _read(text) if re.match(r"\d{4}-\d\d-\d\d([ Tt]|$)", text) else None


def has_clock(text: str) -> bool:
    """Tell whether a text is a date with a time of the day."""
    return written(text) is not None and len(text) > len("2024-02-29")


def on_clock(moment: dt.datetime, *, zoned: bool) -> dt.datetime | None:
    """Give a time by the clock of its own zone or by that of UTC; None where it has no zone."""
    if not zoned:
        return moment.replace(tzinfo=None)
    return None if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def times_of(texts: pa.Array, *, zoned: bool = False, strict: bool = True) -> pa.Array:
    """Give texts as times by the clock of their own zone or, where ``zoned``, by that of UTC.

    What is no date and no time is null unless ``strict``.

    Raises
    ------
    TextError
        A text is none, or has no zone where it needs one.

    """
    import pyarrow.compute as pc

    # Arrow reads fewer spellings, much faster, and refuses zones where there must be none.
    with contextlib.suppress(pa.ArrowException):
        return texts.cast(pa.timestamp("us", "UTC" if zoned else None)).cast(pa.timestamp("us"))
    coded = texts.dictionary_encode()
    read: list[dt.datetime | None] = []
    for place, text in enumerate(coded.dictionary.to_pylist()):
        moment = _read(text)
        clock = None if moment is None else on_clock(moment, zoned=zoned)
        if clock is None and (strict or moment is not None):
            row = pc.index(coded.indices, pa.scalar(place, coded.indices.type)).as_py()
            raise TextError(row, text, TIME if moment is None else ZONED)
        read.append(clock)
    return pa.array(read, pa.timestamp("us")).take(coded.indices)


def _read(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None
