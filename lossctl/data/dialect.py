"""Dialects: how a CSV file is written, as far as that is not the same everywhere."""

from __future__ import annotations

import codecs

from lossctl.errors import Gathered, UsageError
from lossctl.record import record

TABS = ("tab", r"\t")
"""What people write for a tabulator, which a shell makes hard to type."""
CUTTABLE = ("ascii", "utf-8", "iso8859", "cp125", "cp437", "cp850", "koi8", "mac-")
"""Beginnings of the encodings in which a byte that looks like a line end, a quote or a separator
always is one, so that a file can be cut at line ends before it is decoded."""


@record
class Dialect:
    """How a CSV file is written."""

    delimiter: str = ""
    """Separator of fields; empty for the one that the suffix says."""
    header: bool = True
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str = ""
    """What stands between the groups of digits of a large number; empty for nothing."""
    comment: str = ""
    """What a line begins with that is no row; empty where every line is one."""
    told: bool = False
    """Whether the separator was told by the user."""

    @property
    def is_utf8(self) -> bool:
        """Tell whether the bytes can be read as they are."""
        return self.encoding in ("utf-8", "ascii")

    @property
    def cuttable(self) -> bool:
        """Tell whether a file can be cut at line ends before it is decoded."""
        return self.encoding.startswith(CUTTABLE)


PLAIN = Dialect()
"""As most CSV files are written."""


def read_dialect(
    *,
    delimiter: str | None = None,
    no_header: bool = False,
    encoding: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    comment: str | None = None,
) -> Dialect:
    """Read the options that say how CSV files are written.

    Raises
    ------
    UsageError, SeveralErrors
        A character is none or cannot be told from another, or the encoding is unknown.

    """
    delimiter = "\t" if delimiter in TABS else delimiter or ""
    decimal, thousands, comment = decimal or ".", thousands or "", comment or ""
    wrong = Gathered()
    for option, value in (("--delimiter", delimiter), ("--decimal", decimal)):
        with wrong:
            if value and (len(value) != 1 or not value.isascii() or value in '"\r\n'):
                raise UsageError(f"{option} takes one ASCII character, not {value!r}")
    with wrong:
        if decimal not in (".", ","):
            raise UsageError(f"--decimal takes a point or a comma, not {decimal!r}")
    with wrong:
        if len(thousands) > 1 or thousands.isalnum() or thousands in ("+", "-", '"'):
            hint = "as in --thousands , or --thousands ' '"
            raise UsageError(f"--thousands takes one character, not {thousands!r}", hint=hint)
        if thousands and thousands == decimal:
            raise UsageError(
                f"--thousands and --decimal are both {decimal!r}",
                hint="where a point separates thousands, add --decimal ,",
            )
    with wrong:
        if comment and (not comment.isascii() or comment.isspace() or comment in ('"', delimiter)):
            raise UsageError(f"--comment takes the beginning of a line, not {comment!r}")
    found = wrong.of(_encoding, encoding or "utf-8")
    wrong.settle()
    return Dialect(
        delimiter, not no_header, found, decimal, thousands, comment, told=bool(delimiter)
    )


def _encoding(text: str) -> str:
    try:
        name = codecs.lookup(text).name
        "a,1".encode(name)
    except (LookupError, UnicodeError) as error:
        hint = "for example utf-8, latin-1, cp1252, utf-16, shift_jis"
        raise UsageError(f"--encoding: {text!r} is no known encoding", hint=hint) from error
    return "utf-8" if name == "utf-8-sig" else name
