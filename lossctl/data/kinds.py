"""Kinds of columns: which Arrow types can fill a role, and how long their lists are."""

from __future__ import annotations

import pyarrow as pa

from lossctl.data.columns import listed
from lossctl.data.source import Source, format_of
from lossctl.errors import ColumnError, Place
from lossctl.losses import REGISTRY


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column of the type holds one number per row."""
    kinds = pa.types
    tests = (
        kinds.is_integer,
        kinds.is_floating,
        kinds.is_boolean,
        kinds.is_decimal,
        kinds.is_null,
    )
    return any(test(kind) for test in tests)


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a column of the type holds a list per row."""
    kinds = pa.types
    tests = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    return any(test(kind) for test in tests)


def check_type(role: str, source: Source, column: str, *, label: bool, may_be_list: bool) -> None:
    """Refuse a column whose type cannot fill the role."""
    if column not in source.types:
        raise ColumnError(f"no column {column!r}", hint=listed([source]), place=Place(source.path))
    kind = source.types[column]
    if kind is None or (label and not pa.types.is_nested(kind)):
        return
    if is_number(kind.value_type if may_be_list and is_list(kind) else kind):
        return
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    text = text or pa.types.is_dictionary(kind)
    needed = "labels" if label else "numbers"
    hint = "for text labels name the positive one with --positive" if text else ""
    raise ColumnError(
        f"column {column!r} for the role {role!r} holds {kind}, not {needed}",
        hint=takers_of_lists(role) if is_list(kind) else hint if role == "target" else "",
        place=Place(source.path),
    )


def takers_of_lists(role: str) -> str:
    """Say which losses take a list a row in a role; nothing where none does."""
    names = [
        loss.name
        for loss in REGISTRY.values()
        if any(one.name == role and one.domain.takes_lists for one in loss.roles)
    ]
    return f"losses that take lists there: {', '.join(names)}" if names else ""


def list_width(source: Source, column: str) -> int:
    """Give the length of the first list in a column."""
    kind = source.types[column]
    if kind is not None and pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    if source.rows == 0:
        return 0
    form = format_of(source.format)
    for batch in form.read(form.whole(source), {column: "number"}, 1 << 10):
        lists = batch.column(0)
        if lists.null_count < len(lists):
            width = len(next(value for value in lists if value.is_valid).values)
            if width:
                return width
            break
    raise ColumnError(f"the first list of column {column!r} is empty", place=Place(source.path))
