"""Plans: all that is decided about a run before its first row is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import partial

from lossctl import __version__
from lossctl.checks import Check, Nonfinite, find_checks
from lossctl.data.binding import Binding, Choices, Slot, bind, find_columns, is_stacked
from lossctl.data.derived import column_of
from lossctl.data.grouped import GroupedSource
from lossctl.data.keys import find_keys
from lossctl.data.kinds import check_type
from lossctl.data.memory import check_order
from lossctl.data.reading import MEMORY, Column, Missing, Nulls, Pairing, Reading
from lossctl.data.source import Source
from lossctl.data.where import bind_where
from lossctl.errors import UsageError
from lossctl.losses import Spec
from lossctl.record import record
from lossctl.sensitivity import variants_of

CHUNK_ROWS = 1 << 16
"""Rows of a chunk: its arrays stay in cache, and each NumPy call is long enough to be worth it."""
SLICED_ROWS = 1 << 18
"""The rows of a chunk that is sliced: of too few rows a slice, adding up is mostly overhead."""
CHUNK_VALUES = 1 << 19
"""Values of the widest role that a chunk holds at most, unless its rows are told."""
MOST_ROWS = 1 << 30
"""Rows of a chunk at most, however many are told: what Arrow counts in has an end."""


@record
class Policies:
    """What to do about gaps, how wide the intervals are, and how the work is cut."""

    nulls: Nulls = "error"
    nonfinite: Nonfinite = "error"
    ci: float | None = 0.95
    """Level of the intervals; None for none."""
    quantiles: tuple[float, ...] = ()
    histogram: bool = False
    top: int = 0
    """How many of the rows with the largest losses to name."""
    keep: tuple[str, ...] = ()
    """Columns that are shown of such rows."""
    sensitivity: bool = False
    """Whether to say how much hangs on few rows, and on the clips of log losses."""
    by: tuple[tuple[str, ...], ...] = ()
    """Columns of each slicing asked for; several columns are crossed."""
    find: tuple[str, ...] = ()
    """What to look for the worst slices by, alone and in pairs."""
    max_slices: int = 10_000
    """Slices of one slicing beyond which it is refused."""
    min_slice_rows: int = 0
    """Slices of fewer rows are marked, and not judged by limits."""
    where: str | None = None
    """Filter of the rows to keep, as text; None for all rows."""
    weight: str | None = None
    """Column of the rows' weights; None where every row counts alike."""
    keys: tuple[str, ...] = ()
    """Columns to pair files by, as `lossctl.data.keys.find_keys` reads them; none for position."""
    missing: Missing = "error"
    """What to do about keys that not every file has."""
    min_match_rate: float = 0.0
    """Least share of the distinct keys that every file must have."""
    fingerprint: bool = False
    """Whether to tell which rows there were, by keys, targets and weights."""
    memory: int = MEMORY
    """Bytes that pairing by key holds at most; what is more goes to temporary files."""
    temp_dir: str | None = None
    """Where those are; None for the system's folder."""
    jobs: int = 1
    chunk_rows: int | None = None
    """Rows held at a time; None for as many as fit into the cache."""

    @property
    def sliced(self) -> tuple[str, ...]:
        """Give all that rows are sliced by, each once."""
        return tuple(dict.fromkeys(name for names in (*self.by, self.find) for name in names))


@record
class Settings:
    """All that the numbers depend on apart from the rows."""

    specs: tuple[Spec, ...]
    pairing: Pairing
    policies: Policies
    columns: Mapping[str, Mapping[str, list[str] | str]]
    """Loss to role to the columns that fill it, to be shown."""
    classes: tuple[tuple[str, ...], ...] = ()
    """Class names in order, of every role that takes labels by name."""
    group: str | None = None
    """Column of a long file whose rows were gathered into groups."""

    @property
    def variants(self) -> tuple[Spec, ...]:
        """Give the further forms of the losses that are measured to be set beside them."""
        if not self.policies.sensitivity:
            return ()
        asked = {spec.full for spec in self.specs}
        found = {it.full: it for spec in self.specs for it in variants_of(spec)}
        return tuple(spec for name, spec in found.items() if name not in asked)

    @property
    def measured(self) -> tuple[tuple[Spec, Policies], ...]:
        """Give every loss that is measured, and what is kept of it."""
        bare = replace(
            self.policies, ci=None, quantiles=(), histogram=False, top=0, sensitivity=False
        )
        asked = [(spec, self.policies) for spec in self.specs]
        return (*asked, *((spec, bare) for spec in self.variants))

    def signature(self, rows: int) -> str:
        """Write the settings in one line."""
        policies = self.policies
        parts = [
            f"lossctl {__version__}",
            *(spec.full for spec in self.specs),
            *(f"key={key}" for key in policies.keys),
            *([] if policies.keys else [f"pairing={self.pairing.replace(' ', '-')}"]),
            *([f"missing={policies.missing}"] if policies.keys else []),
            f"nulls={policies.nulls}",
            f"nonfinite={policies.nonfinite}",
            *(f"by={','.join(names)}" for names in policies.by),
            *([f"find={','.join(policies.find)}"] if policies.find else []),
            *([] if policies.where is None else [f"where={policies.where}"]),
            *([] if policies.weight is None else [f"weight={policies.weight}"]),
            f"n={rows}",
        ]
        return " | ".join(parts)


@record
class Plan:
    """All that is decided before the first row is read."""

    specs: tuple[Spec, ...]
    binding: Binding
    checks: tuple[Check, ...]
    reading: Reading
    policies: Policies
    scalars: Mapping[str, Column] = field(default_factory=dict)
    """Columns among those of `Policies.keep` that are there for the roles they fill."""

    @property
    def kept(self) -> tuple[Column, ...]:
        """Give the columns that are shown of single rows."""
        carried = {column[1]: column for column in self.reading.carried}
        return tuple((carried | dict(self.scalars))[name] for name in self.policies.keep)

    def keeping_scalars(self) -> Plan:
        """Give the plan that shows the columns with one value for a role as well, before others.

        A column goes by the name of its role where another file has one of its own name.
        """
        slots = {
            (slot.source, *slot.columns): role
            for roles in self.binding.values()
            for role, slot in roles.items()
            if slot.kind in ("number", "class", "positive") and len(slot.columns) == 1
        }
        found = Counter(name for _, name in {*slots, *self.kept})
        scalars: dict[str, Column] = {}
        for (source, name), role in slots.items():
            label = role if found[name] > 1 else name
            if (source, name) not in self.kept and label not in self.policies.keep:
                scalars.setdefault(label, (source, name))
        reading = replace(self.reading, carried=(*scalars.values(), *self.reading.carried))
        policies = replace(self.policies, keep=(*scalars, *self.policies.keep))
        return replace(self, reading=reading, policies=policies, scalars=scalars)

    @property
    def measured(self) -> tuple[Spec, ...]:
        """Give every loss that is measured."""
        return (*self.specs, *self.settings.variants)

    @property
    def settings(self) -> Settings:
        """Give what the numbers depend on."""
        columns: dict[str, dict[str, list[str] | str]] = {}
        for spec in self.specs:
            columns[spec.label] = {
                role: _shown(slot, spec) for role, slot in self.binding[spec.full].items()
            }
            if self.policies.weight is not None:
                columns[spec.label]["weight"] = [self.policies.weight]
        classes = dict.fromkeys(slot.classes for slot in self.reading.slots if slot.classes)
        groups = [s.group for s in self.reading.sources if isinstance(s, GroupedSource)]
        group = groups[0] if groups else None
        return Settings(
            self.specs, self.reading.pairing, self.policies, columns, tuple(classes), group
        )


def rows_of_chunk(slots: Iterable[Slot], *, sliced: bool = False) -> int:
    """Give the rows that a chunk holds unless they are told."""
    widest = max((slot.width for slot in slots), default=0)
    rows = SLICED_ROWS if sliced else CHUNK_ROWS
    return rows if widest <= 1 else max(1, min(rows, CHUNK_VALUES // widest))


def _shown(slot: Slot, spec: Spec) -> list[str] | str:
    """Say which columns fill a role, or what stands in for one."""
    if slot.kind == "positive":
        return f"{slot.columns[0]} is {slot.positive}"
    if slot.columns:
        return list(slot.columns)
    if slot.kind == "population":
        return f"by file: {', '.join(spec.loss.populations)}"
    return f"{slot.constant:g}"


def pairing_of(sources: Sequence[Source], policies: Policies, *, stacked: bool) -> Pairing:
    """Say how the rows of several files come together.

    Raises
    ------
    UsageError
        There is a key and nothing to pair, or what only a key allows.

    """
    if not policies.keys:
        if policies.missing != "error" or policies.min_match_rate:
            raise UsageError("--missing and --min-match-rate need --key COLUMN to pair files by")
        return "one file" if len(sources) == 1 else "populations" if stacked else "position"
    if len(sources) == 1 and policies.fingerprint:
        return "one file"
    if len(sources) == 1:
        hint = "leave out --key; a fingerprint of one file may have one"
        raise UsageError("--key pairs files, but there is one only", hint=hint)
    if stacked:
        raise UsageError("--key: two files of two populations are not paired at all")
    return "key"


def _weight(source: int, name: str, holders: Iterable[Source]) -> Slot:
    """Read weights from a column, which has to be of numbers in every file that it is read from."""
    for holder in holders:
        check_type("weight", holder, name, label=False, may_be_list=False)
    return Slot("number", source, (name,))


def _shared(sources: Sequence[Source], apart: Collection[str]) -> tuple[str, ...]:
    """Name the columns that several files hold, apart from some; of a struct its fields are."""
    holders = Counter(
        name
        for source in sources
        for name in source.names
        if not any(path[0] == name for path in source.nested.values())
    )
    return tuple(name for name, files in holders.items() if files > 1 and name not in apart)


def _check_keys(reading: Reading) -> None:
    """Refuse a key that is a number as well, in a format that reads a column in one way only."""
    for number, source in enumerate(reading.sources):
        as_numbers = {name for part, name in reading.as_numbers if part == number}
        for slot in reading.numbers:
            if slot.source == number and slot.kind not in ("class", "positive"):
                as_numbers.update(slot.columns)
        for key in reading.keys:
            name = key.names[number]
            if name in as_numbers and source.types[name] is None:
                message = f"--key {key}: the column {name!r} is read as numbers already"
                raise UsageError(message, hint="a key that is text cannot fill a role as well")


def _fingerprinted(bindings: Iterable[Binding], policies: Policies) -> tuple[Slot, ...]:
    """Give the targets of all losses, each once and in an order that does not depend on theirs."""
    targets = {
        slots["target"]
        for binding in bindings
        for slots in binding.values()
        if "target" in slots and slots["target"].columns
    }
    if not targets and not policies.keys:
        raise UsageError(
            "--fingerprint needs targets or a key to tell the rows apart",
            hint="name a column that does with --key",
        )
    return tuple(sorted(targets, key=lambda slot: (slot.columns, slot.kind, slot.positive)))


def make_plan(
    sources: Sequence[Source],
    specs: Sequence[Spec],
    choices: Choices,
    policies: Policies,
    *,
    carried: Sequence[str] = (),
) -> Plan:
    """Decide what will be read and how, without reading rows.

    ``carried`` names columns to hand on beside the values, as `Reading.carried`.

    Raises
    ------
    UsageError
        A role has no column, or the losses cannot be evaluated together.

    """
    stacked = [is_stacked(spec, sources) for spec in specs]
    if any(stacked) and not all(stacked):
        names = ", ".join(spec.label for spec, two in zip(specs, stacked, strict=True) if not two)
        message = f"two files of two populations cannot be paired row by row as well ({names})"
        raise UsageError(message, hint="evaluate those losses in a run of their own")
    pairing = pairing_of(sources, policies, stacked=all(stacked))
    binding = bind(specs, sources, choices)
    reading = plan_reading(sources, pairing, [binding], policies, carried=carried)
    if policies.sensitivity:
        variants = {it.full: binding[spec.full] for spec in specs for it in variants_of(spec)}
        binding = {**variants, **binding}
    return Plan(tuple(specs), binding, find_checks(specs, binding), reading, policies)


def plan_reading(
    sources: Sequence[Source],
    pairing: Pairing,
    bindings: Iterable[Binding],
    policies: Policies,
    *,
    carried: Sequence[str] = (),
    apart: Collection[str] = (),
) -> Reading:
    """Decide what is read of the files, once it is known which columns play which role.

    ``apart`` names columns that paired files may both hold without being equal there.

    Raises
    ------
    UsageError
        No file holds a column, or it is of a type that cannot be used so.
    PairingError
        Tables in memory label their rows differently.

    """
    if pairing == "position":
        check_order(sources)
    bindings = tuple(bindings)
    slots = dict.fromkeys(
        slot for binding in bindings for roles in binding.values() for slot in roles.values()
    )
    find = partial(find_columns, sources, in_all=pairing == "populations")
    weight = None
    if policies.weight is not None:
        ((source, name),) = find([policies.weight], purpose="to weigh by")
        holders = sources if pairing == "populations" else (sources[source],)
        weight = _weight(source, name, holders)
    where = None
    if policies.where is not None:
        numbers = (*slots, *([] if weight is None else [weight]))
        where = bind_where(policies.where, sources, numbers, in_all=pairing == "populations")
    reading = Reading(
        tuple(sources),
        pairing,
        tuple(slots),
        policies.nulls,
        min(policies.chunk_rows or rows_of_chunk(slots, sliced=bool(policies.sliced)), MOST_ROWS),
        _shared(sources, apart) if pairing == "position" else (),
        tuple(
            column
            for name in policies.sliced
            for column in find([column_of(name)], purpose="to slice by")
        ),
        carried=find([*policies.keep, *carried], purpose="to carry along"),
        weight=weight,
        keys=find_keys(sources, policies.keys),
        missing=policies.missing,
        min_match_rate=policies.min_match_rate,
        where=where,
        fingerprinted=_fingerprinted(bindings, policies) if policies.fingerprint else None,
        memory=policies.memory,
        temp_dir=policies.temp_dir,
    )
    _check_keys(reading)
    return reading
