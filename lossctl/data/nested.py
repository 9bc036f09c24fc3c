"""Nested fields: a field of a struct is a column by its dotted path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lossctl.data.source import Source

Path = tuple[str, ...]


def described(source: Source, types: Mapping[str, pa.DataType | None]) -> Source:
    """Add the types of the columns to a source, and after them the fields of structs.

    A column keeps its name where a field has the same path.
    """
    found: dict[Path, pa.DataType] = {}
    for name, kind in types.items():
        found |= _fields((name,), kind)
    paths: dict[str, Path] = {}
    for path in found:
        if ".".join(path) not in types:
            paths.setdefault(".".join(path), path)
    inner = {name: found[path] for name, path in paths.items()}
    return replace(source, types={**types, **inner}, nested=paths)


def _fields(path: Path, kind: pa.DataType | None) -> dict[Path, pa.DataType]:
    """Give the fields of a struct at any depth; those whose name comes twice have no path."""
    if kind is None or not pa.types.is_struct(kind):
        return {}
    found: dict[Path, pa.DataType] = {}
    counts = Counter(field.name for field in kind)
    for field in kind:
        if counts[field.name] == 1:
            found[*path, field.name] = field.type
            found |= _fields((*path, field.name), field.type)
    return found


def path_of(source: Source, name: str) -> Path:
    """Give the names that lead to a column."""
    return source.nested.get(name, (name,))


def holders(source: Source, names: Iterable[str]) -> list[str]:
    """Give the columns of a file that hold some columns or are them."""
    return list(dict.fromkeys(path_of(source, name)[0] for name in names))


def flattened(
    source: Source, names: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Take columns out of what a file holds; where a struct is null, so are its fields."""
    if source.nested.keys().isdisjoint(names):
        yield from (batch.select(names) for batch in batches)
        return
    paths = [path_of(source, name) for name in names]
    for batch in batches:
        columns = [
            batch[path[0]] if len(path) == 1 else pc.struct_field(batch[path[0]], list(path[1:]))
            for path in paths
        ]
        yield pa.RecordBatch.from_arrays(columns, list(names))


def schema_of(source: Source, told: Mapping[str, pa.DataType]) -> pa.Schema:
    """Give the schema of some columns as a file holds them, without the fields not asked for."""
    tree: dict[str, Any] = {}
    for name, kind in sorted(told.items(), key=lambda item: -len(path_of(source, item[0]))):
        *above, last = path_of(source, name)
        node: dict[str, Any] = tree
        for part in above:
            node = node.setdefault(part, {})
        # The longest paths come first, so that a struct wanted whole takes the place of its parts.
        node[last] = kind
    return pa.schema([(holder, _kind(tree[holder])) for holder in holders(source, told)])


def _kind(node: Any) -> pa.DataType:
    if isinstance(node, dict):
        return pa.struct([(name, _kind(part)) for name, part in node.items()])
    return node
