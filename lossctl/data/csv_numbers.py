"""Numbers in CSV files as a dialect writes them: a decimal comma, groups of digits."""

from __future__ import annotations

import re

import pyarrow as pa

from lossctl.data.dialect import Dialect
from lossctl.data.numerals import number


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
