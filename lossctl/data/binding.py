"""Binding: which column of which file plays which role of which loss, found or told."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pyarrow as pa

from lossctl.data.source import Source
from lossctl.errors import ColumnError, Place, SeveralErrors, UsageError
from lossctl.losses import Role, Spec
from lossctl.losses._spec import did_you_mean

Kind = Literal["number", "matrix", "ragged", "class", "positive", "constant", "population"]

USUAL: Mapping[str, tuple[str, ...]] = {
    "prediction": ("prediction", "predictions", "pred", "y_pred", "yhat", "y_hat", "predicted"),
    "target": ("target", "targets", "y_true", "y", "truth", "actual", "ground_truth", "gt"),
    "left": ("left", "first"),
    "right": ("right", "second"),
}
"""Names under which the columns of a role are usually found, best first."""


@dataclass(frozen=True)
class Slot:
    """The columns that fill a role, and how they become an array."""

    kind: Kind
    source: int = 0
    columns: tuple[str, ...] = ()
    width: int = 0
    """Values per row of a matrix."""
    classes: tuple[str, ...] = ()
    """Names of classes 0..K-1 for the kind ``class``."""
    constant: float = 0.0
    positive: str = ""
    """The label that counts as 1 for the kind ``positive``."""


@dataclass(frozen=True)
class Choices:
    """What the user said about columns."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Role, or ``loss.role``, to a column name, a list ``a,b,c`` or a glob ``p_*``."""
    positive: str | None = None
    classes: tuple[str, ...] = ()


Binding = Mapping[str, Mapping[str, Slot]]
"""Spec (in full) to role to slot."""


def bind(specs: Sequence[Spec], sources: Sequence[Source], choices: Choices) -> Binding:
    """Find the columns of every role of every loss.

    Raises
    ------
    ColumnError, SeveralErrors
        A role has no column, several, or the wrong number of them; all such roles are named.

    """
    errors: dict[str, UsageError] = {}
    binding: dict[str, dict[str, Slot]] = {}
    for spec in specs:
        finder = _Finder(spec, sources, choices)
        binding[spec.full] = {}
        for role in spec.loss.roles:
            try:
                binding[spec.full][role.name] = finder.find(role)
            except ColumnError as error:
                errors.setdefault(error.message, error)
        if not errors:
            binding[spec.full] = _with_classes(spec, binding[spec.full], choices)
    if len(errors) == 1:
        raise next(iter(errors.values()))
    if errors:
        raise SeveralErrors(list(errors.values()))
    return binding


class _Finder:
    """Finds the slots of one loss."""

    def __init__(self, spec: Spec, sources: Sequence[Source], choices: Choices) -> None:
        self.spec, self.sources, self.choices = spec, sources, choices

    def find(self, role: Role) -> Slot:
        told = self.choices.columns.get(
            f"{self.spec.loss.name}.{role.name}", self.choices.columns.get(role.name)
        )
        if told is not None:
            return self._slot(role, *self._told(role, told))
        if is_stacked(self.spec, self.sources) and role.name == "target":
            return Slot("population")
        found = self._usual(role)
        if found is not None:
            return self._slot(role, *found)
        if role.default is not None:
            return Slot("constant", constant=role.default)
        raise self._missing(role)

    def _order(self, role: Role) -> Iterable[int]:
        """Targets are looked for in the last file first, everything else in the first."""
        order = range(len(self.sources))
        return reversed(order) if role.name == "target" else order

    def _told(self, role: Role, text: str) -> tuple[int, tuple[str, ...]]:
        wanted = [part.strip() for part in text.split(",")]
        for index in self._order(role):
            names = self.sources[index].names
            found = [
                name
                for part in wanted
                for name in ([part] if part in names else fnmatch.filter(names, part))
            ]
            if all(part in names or fnmatch.filter(names, part) for part in wanted):
                return index, tuple(found)
        known = [name for source in self.sources for name in source.names]
        lost = next(
            (part for part in wanted if part not in known and not fnmatch.filter(known, part)),
            text,
        )
        raise ColumnError(
            f"no column {lost!r} for the role {role.name!r} of {self.spec.loss.name}",
            hint=did_you_mean(lost, known) or f"columns: {', '.join(known)}",
            place=Place(self.sources[0].path if len(self.sources) == 1 else None),
        )

    def _usual(self, role: Role) -> tuple[int, tuple[str, ...]] | None:
        stems = (*role.domain.hints, *USUAL.get(role.name, (role.name,)))
        for index in self._order(role):
            source = self.sources[index]
            by_lower = {name.lower(): name for name in reversed(source.names)}
            for stem in stems:
                name = by_lower.get(stem)
                if name is not None and self._fits(role, source.types[name]):
                    return index, (name,)
                group = _numbered(source.names, stem)
                if role.domain.size and not role.domain.ragged and self._enough(role, group):
                    return index, group
                if role.domain.ragged and len(group) > 1 and source.format == "csv":
                    return index, group
        return None

    def _fits(self, role: Role, kind: pa.DataType | None) -> bool:
        """Tell whether a column found by its name alone can fill the role."""
        if kind is None:  # a CSV cell is one value
            return not role.domain.size or role.name == "target"
        listed = is_list(kind)
        if role.domain.ragged or (role.domain.size and role.name != "target"):
            return listed
        return bool(role.domain.size) or not listed

    def _enough(self, role: Role, group: tuple[str, ...]) -> bool:
        size = role.domain.size
        return len(group) == int(size) if size.isdigit() else len(group) > 1

    def _slot(self, role: Role, index: int, columns: tuple[str, ...]) -> Slot:
        source, domain = self.sources[index], role.domain
        kind = source.types[columns[0]]
        listed = kind is not None and is_list(kind)
        if len(columns) > 1 and not domain.size:
            raise self._wrong_number(role, columns, "one column")
        if domain.ragged:
            return Slot("ragged", index, columns, width=len(columns))
        if domain.size and (listed or len(columns) > 1):
            width = _list_width(source, columns[0]) if listed else len(columns)
            if domain.size.isdigit() and width != int(domain.size):
                raise self._wrong_number(role, columns, f"{domain.size} columns")
            return Slot("matrix", index, columns, width=width)
        if domain.size and role.name != "target":
            raise self._wrong_number(role, columns, f"{domain.size} columns or one list column")
        if domain.size:
            return Slot("class", index, columns)
        if self.choices.positive is not None and role.name == "target":
            return Slot("positive", index, columns, positive=self.choices.positive)
        if kind is not None and not is_number(kind):
            raise ColumnError(
                f"column {columns[0]!r} for the role {role.name!r} holds {kind}, not numbers",
                hint="for text labels name the positive one with --positive"
                if role.name == "target"
                else "",
                place=Place(source.path),
            )
        return Slot("number", index, columns)

    def _wrong_number(self, role: Role, columns: tuple[str, ...], needed: str) -> ColumnError:
        return ColumnError(
            f"{self.spec.loss.name}: the role {role.name!r} needs {needed}, "
            f"not {len(columns)} ({', '.join(columns)})",
            hint=f"--col {role.name}=a,b,c or --col '{role.name}=p_*'",
        )

    def _missing(self, role: Role) -> ColumnError:
        known = [name for source in self.sources for name in source.names]
        option = {"prediction": "--pred", "target": "--target"}.get(role.name)
        columns = "COLUMNS" if role.domain.size else "COLUMN"
        way = f"{option} {columns}" if option else f"--col {role.name}={columns}"
        return ColumnError(
            f"{self.spec.loss.name}: no column found for the role {role.name!r} "
            f"({role.domain.text})",
            hint=f"name it with {way}; columns: {', '.join(known)}",
        )


def is_stacked(spec: Spec, sources: Sequence[Source]) -> bool:
    """Tell whether two files are the two populations of a loss, one after the other."""
    labels = (*USUAL["target"], "label", "labels")
    labelled = any(name.lower() in labels for source in sources for name in source.names)
    return bool(spec.loss.populations) and len(sources) == 2 and not labelled


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column of the type holds one number per row."""
    kinds = pa.types
    tests = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal)
    return any(test(kind) for test in tests)


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a column of the type holds a list per row."""
    kinds = pa.types
    tests = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _numbered(names: Sequence[str], stem: str) -> tuple[str, ...]:
    """Find the columns ``stem_something``, in file order."""
    return tuple(name for name in names if name.lower().startswith(f"{stem}_"))


def _list_width(source: Source, column: str) -> int:
    kind = source.types[column]
    if kind is not None and pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    from lossctl.data.parquet import first_rows

    first = first_rows(source, column)
    return len(first[0].values) if len(first) and first[0].is_valid else 0


def _with_classes(spec: Spec, slots: dict[str, Slot], choices: Choices) -> dict[str, Slot]:
    """Give the slots of class labels the class names, and check that widths agree."""
    widths: dict[str, tuple[str, int]] = {}
    for role in spec.loss.roles:
        slot = slots[role.name]
        if slot.kind != "matrix":
            continue
        other, width = widths.setdefault(role.domain.size, (role.name, slot.width))
        if width != slot.width:
            raise ColumnError(
                f"{spec.loss.name}: {other!r} has {width} values a row, "
                f"{role.name!r} has {slot.width}"
            )
    names = choices.classes or _class_names(slots.get("prediction", Slot("constant")))
    return {
        name: replace(slot, classes=names) if slot.kind == "class" else slot
        for name, slot in slots.items()
    }


def _class_names(slot: Slot) -> tuple[str, ...]:
    """Take the class names from the suffixes of columns like ``p_cat, p_dog``."""
    if len(slot.columns) < 2:
        return tuple(str(number) for number in range(slot.width))
    stems = {name.partition("_")[0] for name in slot.columns}
    if len(stems) == 1 and all("_" in name for name in slot.columns):
        return tuple(name.partition("_")[2] for name in slot.columns)
    return slot.columns
