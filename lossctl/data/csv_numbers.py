"""Numbers in CSV files as people write them: a decimal comma, groups of digits, truths."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re

import numpy as np
import pyarrow as pa

from lossctl.data import buffers
from lossctl.data.csv import NULLS, TRUTHS
from lossctl.data.dialect import Dialect
from lossctl.data.numerals import number
from lossctl.data.source import Source


def _grouped(dialect: Dialect) -> str:
    """Give the pattern of a number whose digits are in groups: of three, or Indian ones of two."""
    mark, point = re.escape(dialect.thousands), re.escape(dialect.decimal)
    whole = rf"[+-]?[0-9]{{1,3}}({mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}"
    return rf"^{whole}({point}[0-9]*)?([eE][+-]?[0-9]+)?$"


def plain(text: str, dialect: Dialect) -> str | None:
    """Write a number with a decimal point and without groups; None where it is not well-formed."""
    text = text.strip(" \t")
    if dialect.thousands and dialect.thousands in text:
        if not re.fullmatch(_grouped(dialect), text):
            return None
        text = text.replace(dialect.thousands, "")
    if dialect.decimal == ".":
        return text
    return None if "." in text else text.replace(dialect.decimal, ".")


def read_number(text: str, dialect: Dialect) -> int | float | None:
    """Read a number; None when the text is none."""
    written = plain(text, dialect)
    return None if written is None else number(written)


def ungrouped(column: pa.Array, dialect: Dialect) -> pa.Array:
    """Read a column of texts as numbers, correctly rounded.

    Raises
    ------
    pyarrow.ArrowInvalid
        A text is no number.

    """
    import pyarrow.compute as pc

    mark, point = dialect.thousands, dialect.decimal
    column = pc.utf8_trim(column, " \t")
    marked = pc.match_substring(column, mark)
    good = pc.or_(pc.invert(marked), pc.match_substring_regex(column, _grouped(dialect)))
    if mark != "." and point != ".":
        good = pc.and_(good, pc.invert(pc.match_substring(column, ".")))
    if not pc.all(good).as_py():
        raise pa.ArrowInvalid("the digits of a number are not grouped")
    column = pc.replace_substring(column, mark, "")
    return pc.replace_substring(column, point, ".").cast(pa.float64())


def truth(text: str) -> float | None:
    """Read a truth as the number that it stands for; None when the text is none."""
    return TRUTHS.get(text.strip(" \t"))


def truths(column: pa.DictionaryArray) -> pa.Array:
    """Read a column of truths as numbers.

    Raises
    ------
    pyarrow.ArrowInvalid
        A text is no truth.

    """
    missing = buffers.nulls(column)
    known = [truth(text) for text in column.dictionary.to_pylist()]
    # What is no truth may stand in the dictionary as a text that means a missing value.
    numbers = np.array([np.nan if one is None else one for one in [*known, None]])
    codes = buffers.view(column.indices)
    values = numbers[codes if missing is None else np.where(missing, len(known), codes)]
    if np.count_nonzero(np.isnan(values)) > column.null_count:
        raise pa.ArrowInvalid("a truth value is none")
    # By its buffers, as `pa.array` imports pandas.
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(pa.float64(), len(values), [valid, pa.py_buffer(values)])


def truth_columns(source: Source, most: int) -> frozenset[str]:
    """Find the columns whose first value is a truth, in at most some rows.

    They hold truths to the end of the file: a column does not mix words and numbers.
    """
    from lossctl.data.csv_fault import careful_rows

    first: dict[str, str] = {}
    with contextlib.suppress(csv.Error, UnicodeError), careful_rows(source) as rows:
        for row in itertools.islice(rows, most):
            for name, text in zip(source.names, row, strict=False):
                if text not in NULLS:
                    first.setdefault(name, text)
            if len(first) == len(source.names):
                break
    return frozenset(name for name, text in first.items() if truth(text) is not None)
