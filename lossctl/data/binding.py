"""Binding: which column of which file plays which role of which loss, found or told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Literal

import pyarrow as pa

from lossctl.data.columns import check_named, is_listed, listed, resolve
from lossctl.data.kinds import check_type, is_list, list_width, takers_of_lists
from lossctl.data.source import Source
from lossctl.data.suffixes import box_order, in_order, suffixes
from lossctl.errors import ColumnError, Gathered, UsageError, did_you_mean
from lossctl.losses import REGISTRY, Role, Spec
from lossctl.record import record

Kind = Literal["number", "matrix", "ragged", "class", "positive", "constant", "population"]

USUAL: Mapping[str, tuple[str, ...]] = {
    "prediction": ("prediction", "predictions", "pred", "y_pred", "yhat", "y_hat", "predicted"),
    "target": ("target", "targets", "y_true", "y", "truth", "actual", "ground_truth", "gt"),
    "left": ("left", "first"),
    "right": ("right", "second"),
}
"""Names under which the columns of a role are usually found, best first."""


@record
class Slot:
    """The columns that fill a role, and how they become an array."""

    kind: Kind
    source: int = 0
    columns: tuple[str, ...] = ()
    width: int = 0
    """Values per row of a matrix."""
    names: tuple[str, ...] = ()
    """The suffixes that tell the columns apart; none where their order was given."""
    classes: tuple[str, ...] = ()
    """Names of classes 0..K-1 for the kind ``class``."""
    constant: float = 0.0
    positive: str = ""
    """The label that counts as 1 for the kind ``positive``."""


@record
class Choices:
    """What the user said about columns."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Role, or ``loss.role``, to a column name, a list ``a,b,c`` or a glob ``p_*``."""
    positive: str | None = None
    classes: tuple[str, ...] = ()


Binding = Mapping[str, Mapping[str, Slot]]
"""Spec (in full) to role to slot."""

_Found = tuple[int, tuple[str, ...], tuple[str, ...]]
"""Number of a source, columns in it, and the suffixes that tell them apart."""


def bind(specs: Sequence[Spec], sources: Sequence[Source], choices: Choices) -> Binding:
    """Find the columns of every role of every loss.

    Raises
    ------
    ColumnError, UsageError, SeveralErrors
        A role has no column or the wrong number of them, or something was named that no loss
        here needs; all that is wrong is named.

    """
    wrong = Gathered()
    with wrong:
        check_named(sources, choices.columns.values())
    with wrong:
        _check_roles(specs, choices)
    binding: dict[str, dict[str, Slot]] = {}
    missing: dict[Role, list[str]] = {}
    for spec in specs:
        finder = _Finder(spec, sources, choices)
        slots: dict[str, Slot] = {}
        for role in spec.loss.roles:
            with wrong:
                slot = finder.find(role)
                if slot is None:
                    missing.setdefault(role, []).append(spec.loss.name)
                else:
                    slots[role.name] = slot
        if len(slots) == len(spec.loss.roles):
            with wrong:
                binding[spec.full] = _matched(spec, slots, choices)
    for role, losses in missing.items():
        with wrong:
            raise _no_column(role, losses, sources)
    wrong.settle()
    _check_labels_used(binding, choices)
    return binding


class _Finder:
    """Finds the slots of one loss."""

    def __init__(self, spec: Spec, sources: Sequence[Source], choices: Choices) -> None:
        self.spec, self.sources, self.choices = spec, sources, choices
        self.stacked = is_stacked(spec, sources)

    def find(self, role: Role) -> Slot | None:
        """Find the slot of a role; None when there is no column for it."""
        told = self.choices.columns.get(
            f"{self.spec.loss.name}.{role.name}", self.choices.columns.get(role.name)
        )
        if told is not None:
            return self._slot(role, *self._told(role, told))
        if self.stacked and role.name == "target":
            return Slot("population")
        found = self._usual(role)
        if found is not None:
            return self._slot(role, *found)
        return None if role.default is None else Slot("constant", constant=role.default)

    def _order(self, role: Role) -> Iterable[int]:
        """Targets are looked for in the last file first, everything else in the first."""
        order = range(len(self.sources))
        return reversed(order) if role.name == "target" else order

    def _told(self, role: Role, text: str) -> _Found:
        check_named(self.sources, [text])
        for index in self._order(role):
            columns, lost = resolve(text, self.sources[index].names)
            if not lost:
                stem = text.partition("*")[0]
                given = is_listed(text, self.sources[index].names)
                return index, columns, () if given else suffixes(columns, stem)
        raise ColumnError(
            f"the columns {text} for the role {role.name!r} are not all in one file",
            hint=listed(self.sources),
        )

    def _usual(self, role: Role) -> _Found | None:
        for index in self._order(role):
            source = self.sources[index]
            by_lower = _by_lower(source)
            for stem in _stems(role):
                name = by_lower.get(stem)
                if name is not None and self._fits(role, source.types[name]):
                    return index, (name,), ()
                group = _numbered(source.names, stem)
                whole = index, group, suffixes(group, f"{stem}_")
                matrix = role.domain.takes_lists and not role.domain.ragged
                if matrix and self._enough(role, group):
                    return whole
                untyped = all(source.types[name] is None for name in group)
                if role.domain.ragged and len(group) > 1 and untyped:
                    return whole
        return None

    def _fits(self, role: Role, kind: pa.DataType | None) -> bool:
        """Tell whether a column found by its name alone can fill the role."""
        if kind is None:  # a CSV cell is one value
            return not role.domain.size or role.name == "target"
        listed = is_list(kind)
        if role.domain.ragged or (role.domain.size and role.name != "target"):
            return listed
        return role.domain.takes_lists or not listed

    def _enough(self, role: Role, group: tuple[str, ...]) -> bool:
        size = role.domain.size
        return len(group) == int(size) if size.isdigit() else len(group) > 1

    def _slot(
        self, role: Role, index: int, columns: tuple[str, ...], names: tuple[str, ...]
    ) -> Slot:
        source, domain = self.sources[index], role.domain
        several = len(columns) > 1
        if several and not domain.takes_lists:
            raise self._wrong_number(role, columns, "one column")
        in_list = not several and source.types[columns[0]] is not None
        in_list = in_list and is_list(source.types[columns[0]])
        label = role.name == "target" and not several and not in_list and not domain.ragged
        label = label and (bool(domain.size) or self.choices.positive is not None)
        for holder in self.sources if self.stacked else (source,):
            for column in columns:
                may_be_list = domain.takes_lists and not several
                check_type(role.name, holder, column, label=label, may_be_list=may_be_list)
        if domain.ragged:
            return Slot("ragged", index, columns, len(columns), names)
        if in_list or several:
            width = list_width(source, columns[0]) if in_list else len(columns)
            if domain.size.isdigit() and width != int(domain.size) and source.rows != 0:
                raise self._wrong_number(role, columns, f"{domain.size} columns", width)
            return Slot("matrix", index, columns, width, names)
        if domain.size and not label:
            raise self._wrong_number(role, columns, f"{domain.size} columns or one list column")
        if label and not domain.size:
            return Slot("positive", index, columns, positive=self.choices.positive or "")
        return Slot("class" if label else "number", index, columns)

    def _wrong_number(
        self, role: Role, columns: tuple[str, ...], needed: str, found: int | None = None
    ) -> ColumnError:
        return ColumnError(
            f"{self.spec.loss.name}: the role {role.name!r} needs {needed}, "
            f"not {len(columns) if found is None else found} ({', '.join(columns)})",
            hint=f"--col {role.name}=NAME names one column"
            if needed == "one column"
            else f"--col {role.name}=a,b,c or --col '{role.name}=p_*'",
        )


def _check_roles(specs: Sequence[Spec], choices: Choices) -> None:
    """Refuse columns for a role that no loss has."""
    roles = dict.fromkeys(role.name for spec in specs for role in spec.loss.roles)
    known = [
        *roles,
        *(f"{spec.loss.name}.{role.name}" for spec in specs for role in spec.loss.roles),
    ]
    wrong = Gathered()
    for role in choices.columns:
        with wrong:
            if role not in known:
                raise UsageError(
                    f"no loss here has the role {role!r}",
                    hint=did_you_mean(role, known) or f"roles: {', '.join(roles)}",
                )
    wrong.settle()


def _check_labels_used(binding: Binding, choices: Choices) -> None:
    """Refuse names of labels that no role takes."""
    kinds = {slot.kind for slots in binding.values() for slot in slots.values()}
    if choices.positive is not None and "positive" not in kinds:
        raise UsageError("--positive: no loss here takes a label of two kinds")
    if choices.classes and "class" not in kinds:
        raise UsageError("--classes: no loss here takes class labels from a column")


def _no_column(role: Role, losses: Sequence[str], sources: Sequence[Source]) -> ColumnError:
    option = {"prediction": "--pred", "target": "--target"}.get(role.name)
    columns = "COLUMNS" if role.domain.takes_lists else "COLUMN"
    way = f"{option} {columns}" if option else f"--col {role.name}={columns}"
    message = (
        f"{', '.join(losses)}: no column found for the role {role.name!r} ({role.domain.text})"
    )
    hints = [f"name it with {way}", listed(sources)]
    if not role.domain.takes_lists and (lists := _usual_lists(role, sources)):
        message += f"; {lists[0]!r} holds a list a row"
        hints.insert(0, takers_of_lists(role.name))
    return ColumnError(message, hint="; ".join(filter(None, hints)))


def _usual_lists(role: Role, sources: Sequence[Source]) -> list[str]:
    """Find the columns that go by a usual name of a role and hold lists."""
    named = ((source, _by_lower(source).get(stem)) for source in sources for stem in _stems(role))
    return [
        name
        for source, name in named
        if name is not None and (kind := source.types[name]) is not None and is_list(kind)
    ]


def _stems(role: Role) -> tuple[str, ...]:
    """Give the usual names of a role's columns, best first."""
    return (*role.domain.hints, *USUAL.get(role.name, (role.name,)))


def _by_lower(source: Source) -> dict[str, str]:
    return {name.strip().lower(): name for name in reversed(source.names)}


def find_columns(
    sources: Sequence[Source], names: Sequence[str], *, in_all: bool, purpose: str
) -> tuple[tuple[int, str], ...]:
    """Find the source of each distinct column; the last file, which has the truth, goes first.

    ``purpose`` says in the message what the column is for, as in ``to slice by``.

    Raises
    ------
    ColumnError
        No file holds a column, or one does not where ``in_all`` of them must.

    """
    found: dict[str, int] = {}
    for name in names:
        holders = [index for index, source in enumerate(sources) if name in source.names]
        if not holders or (in_all and len(holders) < len(sources)):
            known = [column for source in sources for column in source.names]
            hint = (not holders and did_you_mean(name, known)) or listed(sources)
            if any(source.format == "grouped" for source in sources):
                hint = "--group leaves one row per group, which has none of the file's columns"
            where = " in every file" if holders else ""
            raise ColumnError(f"no column {name!r} {purpose}{where}", hint=hint)
        found[name] = holders[-1]
    return tuple((index, name) for name, index in found.items())


def is_stacked(spec: Spec, sources: Sequence[Source]) -> bool:
    """Tell whether two files are the two populations of a loss, one after the other."""
    labels = (*USUAL["target"], "label", "labels")
    labelled = any(name.lower() in labels for source in sources for name in source.names)
    return bool(spec.loss.populations) and len(sources) == 2 and not labelled


def is_output(name: str) -> bool:
    """Tell whether a column's name is a usual one for what a model gives, rather than the truth."""
    lower = name.strip().lower()
    stems = {
        stem
        for loss in REGISTRY.values()
        for role in loss.roles
        if role.name != "target"
        for stem in _stems(role)
    }
    return lower in stems or any(lower.startswith(f"{stem}_") for stem in stems)


def _numbered(names: Sequence[str], stem: str) -> tuple[str, ...]:
    """Find the columns ``stem_something``, in file order."""
    return tuple(name for name in names if name.lower().startswith(f"{stem}_"))


def _matched(spec: Spec, slots: Mapping[str, Slot], choices: Choices) -> dict[str, Slot]:
    """Hold the slots of one size against each other, by suffix where they have any."""
    matched = dict(slots)
    first: dict[str, str] = {}
    for role in spec.loss.roles:
        slot = matched[role.name]
        if slot.kind not in ("matrix", "ragged") or (slot.kind == "ragged" and slot.width < 2):
            continue
        other = matched[first.setdefault(role.domain.size, role.name)]
        if slot.kind == "matrix" and slot.width != other.width:
            raise ColumnError(
                f"{spec.loss.name}: {first[role.domain.size]!r} has {other.width} values a row, "
                f"{role.name!r} has {slot.width}"
            )
        order = None
        if slot.names and role.domain.size == "4":
            order = box_order(slot.names, spec.parameters["format"])
        elif slot.names and other.names:
            order = in_order(slot.names, other.names)
        if order is not None:
            matched[role.name] = _reordered(slot, order)
    names = choices.classes or _class_names(matched.get("prediction", Slot("constant")))
    for name, slot in matched.items():
        if slot.kind == "class":
            _check_classes(spec, names, matched["prediction"])
            matched[name] = replace(slot, classes=names)
    return matched


def _reordered(slot: Slot, order: Sequence[int]) -> Slot:
    return replace(
        slot,
        columns=tuple(slot.columns[i] for i in order),
        names=tuple(slot.names[i] for i in order),
    )


def _check_classes(spec: Spec, names: Sequence[str], prediction: Slot) -> None:
    if len(names) != prediction.width:
        raise ColumnError(
            f"{spec.loss.name}: --classes names {len(names)} classes, "
            f"but the prediction has {prediction.width} values a row"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ColumnError(f"{spec.loss.name}: the class {', '.join(map(repr, twice))} comes twice")


def _class_names(slot: Slot) -> tuple[str, ...]:
    """Take the class names from the suffixes of columns like ``p_cat, p_dog``."""
    if slot.names:
        return slot.names
    if len(slot.columns) < 2:
        return tuple(str(number) for number in range(slot.width))
    stems = {name.partition("_")[0] for name in slot.columns}
    if len(stems) == 1 and all("_" in name for name in slot.columns):
        return tuple(name.partition("_")[2] for name in slot.columns)
    return slot.columns
