"""Evaluation: plan -> chunks -> kernels -> states -> report. No printing, no options."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from lossctl import __version__
from lossctl.checks import Check, apply_policies
from lossctl.data.binding import Slot
from lossctl.data.cells import plain
from lossctl.data.chunks import Chunk, read_chunks
from lossctl.data.csv import QuotedLineBreak
from lossctl.data.joined import Pairs
from lossctl.data.joining import refusal
from lossctl.data.keys import lasting_hashes
from lossctl.data.ordered import OutOfOrder
from lossctl.data.pairing import Pairing
from lossctl.data.reading import Column, Reading
from lossctl.data.tasks import Piece, Task, tasks
from lossctl.engines.local import Stopped, run
from lossctl.errors import LossctlError
from lossctl.losses import Ragged, Spec
from lossctl.plan import Plan, Policies, make_plan
from lossctl.record import record
from lossctl.report import Report
from lossctl.state import State, empty_state
from lossctl.statefile import inputs_of
from lossctl.stats.extremes import Extremes, Row
from lossctl.stats.fingerprint import Fingerprint, bits, of_lists
from lossctl.stats.segments import Segments
from lossctl.stats.tally import FIRST, Rows, Tally
from lossctl.summarise import summarise

__all__ = ["Plan", "Policies", "State", "empty_state", "evaluate", "make_plan"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Checkpoint = Callable[[State], None]
CHECKPOINT_S = 10.0
Engine = Callable[..., Iterator[Any]]
"""Maps a step over tasks on so many jobs, like `lossctl.engines.local.run`."""


class Progress(Protocol):
    """Who wants to know how a run is getting on."""

    def advance(self, rows: int) -> None:
        """Take note of a finished chunk; called from any thread or a copy of the process."""

    def merged(self, state: State) -> None:
        """Take note of the state so far; called from the caller's own thread."""


def evaluate(
    plan: Plan,
    progress: Progress | None = None,
    *,
    done: State | None = None,
    checkpoint: Checkpoint | None = None,
    engine: Engine = run,
) -> Report:
    """Read everything once and report every loss.

    ``done`` holds pieces of the input that were measured before and are not read again;
    ``checkpoint`` is handed the state so far every `CHECKPOINT_S` seconds and at the end;
    ``engine`` runs the work.

    Raises
    ------
    InputError, PairingError, DomainError, MissingValueError
        The input cannot be measured; the error names file, row and column.

    """
    started = time.perf_counter()
    state = measure_all(plan, progress, done=done, checkpoint=checkpoint, engine=engine)
    report = summarise(plan.settings, state)
    run_facts = {"version": __version__, "elapsed_s": round(time.perf_counter() - started, 3)}
    return replace(report, run=run_facts | {"inputs": inputs_of(plan.reading.sources)})


def measure_all(
    plan: Plan,
    progress: Progress | None = None,
    *,
    done: State | None = None,
    checkpoint: Checkpoint | None = None,
    engine: Engine = run,
) -> State:
    """Read everything once and give the exact sums; the arguments are those of `evaluate`.

    Raises
    ------
    InputError, PairingError, DomainError, MissingValueError
        As `evaluate`.

    """
    keep = _Keep(progress, checkpoint)
    fresh = partial(empty_state, plan.settings)
    step = partial(measure, plan, progress=progress)
    state = collect(plan, step, fresh, done=done, seen=keep, engine=engine)
    if checkpoint is not None:
        checkpoint(state)
    return state


def measure(plan: Plan, task: Task, stopped: Stopped, progress: Progress | None = None) -> State:
    """Read one task and tally every loss of its rows."""
    state = empty_state(plan.settings)
    state.read[task.piece] = 0
    with np.errstate(all="ignore"):  # infinities are counted, not warned of
        for chunk in each_chunk(plan, task, stopped, state):
            with faults_kept(chunk, state):
                measure_chunk(plan, task, chunk, state)
            if progress is not None:
                progress.advance(chunk.read)
    return state


def each_chunk(work: Work, task: Task, stopped: Stopped, state: State) -> Iterator[Chunk]:
    """Read a task's chunks until a run is stopped, and count what was not paired on the way."""
    for chunk in read_chunks(task, work.reading, state.cells):
        if stopped():
            return
        if chunk.pairs is None:
            yield chunk
            continue
        state.pairs.merge(chunk.pairs)
        if lost := chunk.pairs.lost.count:
            state.read[task.piece] += lost
            state.dropped.setdefault("unmatched", Rows()).merge(chunk.pairs.lost)


@contextlib.contextmanager
def faults_kept(chunk: Chunk, state: State) -> Iterator[None]:
    """Keep the fault of a row in no order: another task may find an earlier row."""
    try:
        yield
    except LossctlError as error:
        if chunk.origin is None or not chunk.faults:
            raise
        fault = chunk.origin.row(chunk.faults[0].row), error
        state.pairs.merge(Pairs(fault=fault))


class Collected(Protocol):
    """A state that tasks give back: it knows what was read, and adds up in any order."""

    @property
    def read(self) -> dict[Piece, int]:
        """Rows read of each piece of the input."""

    @property
    def pairs(self) -> Pairs:
        """What became of the keys, where rows are paired by key."""

    def merge(self, other: Self) -> object:
        """Add another state of the same plan."""


Kept = TypeVar("Kept", bound=Collected)


class Work(Protocol):
    """What of a plan says which tasks there are, and on how many threads they run."""

    @property
    def reading(self) -> Reading:
        """What is read."""

    @property
    def policies(self) -> Policies:
        """How the work is cut."""


def collect(
    work: Work,
    step: Callable[[Task, Stopped], Kept],
    fresh: Callable[[], Kept],
    *,
    done: Kept | None = None,
    seen: Callable[[Kept], None] | None = None,
    engine: Engine = run,
) -> Kept:
    """Run a step over every task that is not in ``done`` and merge what they give.

    ``seen`` is handed the state so far after every task; rows that are paired by key come in no
    order, so that a state of some of them is nothing to go on from, and it is not handed on.

    Raises
    ------
    PairingError
        Keys repeat or have no match where that is not allowed.

    """

    def run_over(state: Kept, *, in_order: bool) -> Kept:
        todo = tasks(work.reading, in_order=in_order)
        left = [task for task in todo if task.piece not in state.read]
        if left and work.reading.pairing == "key":
            state.merge(_collect_by_key(work, step, fresh, left[0], in_order=in_order))
            if error := refusal(state.pairs, work.reading):
                raise error
            return state
        for part in engine(left, step, work.policies.jobs):
            state.merge(part)
            if seen is not None:
                seen(state)
        return state

    try:
        return run_over(fresh() if done is None else done, in_order=False)
    except QuotedLineBreak:
        return run_over(fresh(), in_order=True)


def _collect_by_key(
    work: Work,
    step: Callable[[Task, Stopped], Kept],
    fresh: Callable[[], Kept],
    whole: Task,
    *,
    in_order: bool,
) -> Kept:
    """Bring the rows of all files together by their keys, and run a step over those of some."""
    jobs = work.policies.jobs

    def run_over(todo: Sequence[Task]) -> Kept:
        state = fresh()
        for part in run(todo, step, jobs):
            state.merge(part)
        return state

    with Pairing(work.reading, jobs=jobs, in_order=in_order) as pairing:
        if todo := pairing.in_order(whole):
            with contextlib.suppress(OutOfOrder):
                return run_over(todo)
        for _ in run(pairing.work, pairing.take_in, jobs):
            pass
        return run_over(pairing.tasks(whole))


class _Keep:
    """Tells of the state so far, and saves it now and then."""

    def __init__(self, progress: Progress | None, checkpoint: Checkpoint | None) -> None:
        self.progress, self.checkpoint = progress, checkpoint
        self.saved = time.monotonic()

    def __call__(self, state: State) -> None:
        if self.progress is not None:
            self.progress.merged(state)
        if self.checkpoint is not None and time.monotonic() - self.saved > CHECKPOINT_S:
            self.checkpoint(state)
            self.saved = time.monotonic()


def take_in(
    work: Work,
    checks: Sequence[Check],
    task: Task,
    chunk: Chunk,
    state: State,
    kept: tuple[Column, ...] = (),
) -> tuple[Segments, RowNames]:
    """Apply the policies to a chunk, count its rows, and arrange what is left by cell.

    ``kept`` are the columns that are shown of a row that is named.

    Raises
    ------
    LossctlError
        A row is there that the policies do not allow.

    """
    path, start, _ = task.piece

    def first(places: Indices) -> list[Row]:
        return [chunk.name(int(place), (path, start)) for place in places[:FIRST]]

    state.read[task.piece] += chunk.read
    gone_by_reason = apply_policies(
        checks, task, chunk, work.policies.nonfinite, work.reading.weight
    )
    for why, places in (chunk.filtered | gone_by_reason).items():
        state.dropped.setdefault(why, Rows()).add(places, first)
    if work.reading.fingerprinted is not None:
        add_to_fingerprint(state.fingerprint, work.reading, chunk)
    return chunk.arrange(), RowNames(path, start, chunk, kept)


def add_to_fingerprint(fingerprint: Fingerprint, reading: Reading, chunk: Chunk) -> None:
    """Add the rows that are left of a chunk: their keys, targets and weights, if they have any."""
    columns = lasting_hashes(chunk.keys(reading))
    for slot in reading.fingerprinted or ():
        values = chunk.values[slot]
        if isinstance(values, Ragged):
            columns.append(of_lists(values.values, values.offsets))
        else:
            columns += [bits(column) for column in np.atleast_2d(values.T)]
    if chunk.weights is not None:
        columns.append(bits(chunk.weights))
    fingerprint.add(chunk.rows, columns)


Scored = Callable[[Spec, Mapping[str, Any], Array, Indices | None], None]
"""Takes a loss, the values of its roles, what rows show, and the rows that count, if not all."""


def measure_chunk(
    plan: Plan, task: Task, chunk: Chunk, state: State, scored: Scored | None = None
) -> None:
    """Tally every loss of a chunk; ``scored`` is handed the rows of each."""
    segments, names = take_in(plan, plan.checks, task, chunk, state, plan.kept)
    for spec in plan.measured:
        values = {role: chunk.values[slot] for role, slot in plan.binding[spec.full].items()}
        tally = state.tallies[spec.full]
        tally.grow(len(state.cells.keys))
        seen = labels_seen(spec, plan.binding[spec.full], values) if spec in plan.specs else ()
        for what, labels in seen:
            key = (spec.full, what)
            state.labels[key] = state.labels.get(key, frozenset()) | labels
        shown, counted = _measure_loss(spec, values, tally, segments, names, chunk.weights)
        if scored is not None:
            scored(spec, values, shown, counted)


@record
class RowNames:
    """Names the rows at some indices of a chunk's arrays, or of a part of them."""

    path: str
    start: int
    chunk: Chunk
    columns: tuple[Column, ...] = ()
    """Columns that are shown of a row."""
    part: Indices | None = None
    """The rows of the chunk that are left; None for all."""

    @property
    def piece(self) -> tuple[str, int]:
        """The piece of a file that the rows are in."""
        return self.path, self.start

    def numbers(self, indices: Indices) -> Indices:
        """Give the numbers of the rows within the piece."""
        return self.chunk.row_numbers(self._within(indices))

    def first(self, indices: Indices) -> list[Row]:
        """Name the first few of the rows."""
        places = np.sort(self.chunk.places(self._within(indices)))[:FIRST]
        return [self.chunk.name(int(place), self.piece) for place in places]

    def carried(self, indices: Indices) -> list[tuple[Any, ...]]:
        """Give what is shown of each row, in plain values; its key goes first."""
        rows = self._within(indices).tolist()
        columns = [self.chunk.carried[column] for column in self.columns]
        shown = [tuple(plain(values[row].as_py()) for values in columns) for row in rows]
        if self.chunk.origin is None:
            return shown
        places = self.chunk.places(self._within(indices)).tolist()
        keys = [self.chunk.origin.key(place) for place in places]
        return [(*key, *values) for key, values in zip(keys, shown, strict=True)]

    def among(self, rows: Indices) -> RowNames:
        """Name rows at indices into a part of these."""
        return replace(self, part=self._within(rows))

    def _within(self, indices: Indices) -> Indices:
        return indices if self.part is None else self.part[indices]


def labels_seen(
    spec: Spec, slots: Mapping[str, Slot], values: Mapping[str, Any]
) -> Iterator[tuple[str, frozenset[float]]]:
    """Give what is judged over the whole input: codings of labels, and whether a label is there."""
    for role in spec.loss.roles:
        if seen := role.domain.labels_seen(values[role.name]):
            yield role.name, seen
        slot = slots[role.name]
        if slot.kind == "positive":
            present = frozenset({1.0}) if values[role.name].any() else frozenset[float]()
            yield f"the label {slot.positive!r} in the column {slot.columns[0]!r}", present


def _measure_loss(
    spec: Spec,
    values: Mapping[str, Any],
    tally: Tally,
    segments: Segments,
    names: RowNames,
    weights: Array | None,
) -> tuple[Array, Indices | None]:
    """Tally a loss; give what each row shows, and the rows that count where not all do."""
    finish, counted = spec.loss.finish, None
    components = spec.loss.kernel(**values, **spec.parameters)
    shown = every = finish.row(components)
    if spec.loss.clipped:
        clipped = clipped_rows(spec, values, shown)
        tally.add_clipped(clipped, shown, segments, names.first, weights)
    if finish.counts is not None:
        counted = np.flatnonzero(finish.counts(components))
        components, shown = components[:, counted], shown[counted]
        segments, names = segments.take(counted), names.among(counted)
        weights = None if weights is None else weights[counted]
    tally.add(components, shown, segments, names.first, weights)
    if tally.worst is not None:
        _add_worst(tally.worst, shown, segments, names, weights)
    return every, counted


def _add_worst(
    worst: Extremes, shown: Array, segments: Segments, names: RowNames, weights: Array | None
) -> None:
    """Look for the worst rows; those of weight 0 have no part in anything."""
    if weights is not None and not weights.all():
        weighty = np.flatnonzero(weights)
        shown, segments, names = shown[weighty], segments.take(weighty), names.among(weighty)
    if len(shown):
        worst.add(shown, segments, names.piece, names.numbers, names.carried)


def clipped_rows(spec: Spec, values: Mapping[str, Any], shown: Array) -> Mask:
    """Mark the rows whose loss the clip changed: those that differ from the one without clip."""
    name = spec.loss.clipped or ""
    eps, p = spec.parameters[name], values["prediction"]
    clipped = np.zeros(len(p), dtype=np.bool_)
    if not len(p) or (p.min() >= eps and p.max() <= 1.0 - eps):
        return clipped
    near = (p < eps) | (p > 1.0 - eps)
    rows = np.flatnonzero(near if near.ndim == 1 else near.any(axis=1))
    part = {role: value[rows] for role, value in values.items()}
    honest = spec.loss.finish.row(spec.loss.kernel(**part, **{**spec.parameters, name: 0.0}))
    clipped[rows] = (honest != shown[rows]) & ~np.isnan(shown[rows])
    return clipped
