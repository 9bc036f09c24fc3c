"""Column names: as people write them on the command line, and as messages show them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from lossctl.data.indexes import UNNAMED
from lossctl.data.source import Source
from lossctl.errors import ColumnError, Gathered, Place, did_you_mean

SHOWN = 20
"""How many columns of a file a message lists."""


def resolve(text: str, names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Find the columns that a text means, and the parts of it that mean none.

    The text is the name of a column, a list ``a,b,c`` or a glob ``p_*``. A name is taken as it
    stands first, so that one with a comma or brackets in it can be written; blanks around a name
    do not matter.
    """
    if text in names:
        return (text,), []
    found: dict[str, None] = {}
    lost = []
    for part in text.split(","):
        columns = _resolve_part(part, names)
        found |= dict.fromkeys(columns)
        if not columns:
            lost.append(part.strip())
    return tuple(found), lost


def _resolve_part(part: str, names: Sequence[str]) -> list[str]:
    bare = part.strip()
    same = [name for name in names if name == part] or [n for n in names if n.strip() == bare]
    return same or [name for name in names if fnmatch.fnmatchcase(name, bare)]


def is_listed(text: str, names: Sequence[str]) -> bool:
    """Tell whether a text names its columns one by one, so that their order is meant."""
    return all(any(name.strip() == part.strip() for name in names) for part in text.split(","))


def check_named(sources: Sequence[Source], texts: Iterable[str]) -> None:
    """Check that every column that is named stands in one of the files.

    Raises
    ------
    ColumnError, SeveralErrors
        Some stand in none; every one is named.

    """
    known = [name for source in sources for name in source.names]
    wrong = Gathered()
    for text in texts:
        for part in resolve(text, known)[1]:
            with wrong:
                raise ColumnError(
                    f"no column {part!r}",
                    hint=did_you_mean(part, known) or listed(sources),
                    place=Place(sources[0].path if len(sources) == 1 else None),
                )
    wrong.settle()


def listed(sources: Sequence[Source]) -> str:
    """List the columns of the files, for a hint."""
    if len(sources) == 1:
        return f"columns: {_listed(sources[0].names)}"
    return "; ".join(f"columns of {source.path}: {_listed(source.names)}" for source in sources)


def _listed(names: Sequence[str]) -> str:
    names = [name for name in names if not UNNAMED.fullmatch(name)]
    # Quotes only where a name could be taken for several, or for none.
    shown = [name if name.strip(" ,;") == name != "" else repr(name) for name in names[:SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
