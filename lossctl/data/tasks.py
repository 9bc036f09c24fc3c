"""Tasks: the pieces of a reading that are worked on independently, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lossctl.data.in_step import unequal
from lossctl.data.joined import Joined
from lossctl.data.pruning import prune
from lossctl.data.reading import Reading
from lossctl.data.source import Fragment, Source, format_of, locate
from lossctl.data.where import Where
from lossctl.errors import Place
from lossctl.record import record

Piece = tuple[str, int, int]
"""File, start and stop of a fragment."""


@record
class Task:
    """One independent piece of work: a fragment, or one of each file to be read in step."""

    number: int
    """Position among the tasks, in row order."""
    fragments: tuple[Fragment, ...]
    source: int = 0
    """The source of a single fragment."""
    joined: Callable[[], Iterator[Joined]] | None = None
    """Gives rows of all fragments paired by key; None where they come in step."""
    excluded: bool = False
    """Whether the filter keeps none of its rows, so that they need not be read."""

    @property
    def piece(self) -> Piece:
        """Name the piece of the first file that the task reads."""
        fragment = self.fragments[0]
        return fragment.source.path, fragment.start, fragment.stop


def tasks(reading: Reading, *, in_order: bool) -> list[Task]:
    """Cut the work into tasks; ``in_order`` reads whole files by the slow road.

    Rows that are paired by key are one task, which `lossctl.data.pairing` cuts further.

    Raises
    ------
    PairingError
        Two files that know their rows differ in their number.

    """
    sources = reading.sources
    if reading.pairing in ("one file", "populations"):
        found = fragment_tasks(reading, in_order=in_order)
        return _pruned(found, reading.where, in_order=in_order)
    rows = {source.rows for source in sources}
    if None in rows or in_order or reading.pairing == "key":
        return [Task(0, tuple(format_of(s.format).whole(s) for s in sources))]
    if len(rows) > 1:
        raise unequal(sources, [source.rows or 0 for source in sources])
    found, start = [], 0
    for number, cut in enumerate(_pieces(sources[0], in_order=False)):
        stop = start + cut.stop - cut.start
        others = (Fragment(other, start, stop) for other in sources[1:])
        found.append(Task(number, (cut, *others)))
        start = stop
    return _pruned(found, reading.where, in_order=in_order)


def _pruned(work: list[Task], where: Where | None, *, in_order: bool) -> list[Task]:
    """Set apart the rows of which the files themselves say that the filter keeps none."""
    if where is None or in_order:
        return work
    cut = [
        Task(0, fragments, task.source, excluded=excluded)
        for task in work
        for fragments, excluded in prune(task.fragments, task.source, where)
    ]
    return [replace(task, number=number) for number, task in enumerate(cut)]


def fragment_tasks(reading: Reading, *, in_order: bool) -> list[Task]:
    """Give a task for every fragment of every source."""
    pieces = [
        (fragment, number)
        for number, source in enumerate(reading.sources)
        for fragment in _pieces(source, in_order=in_order)
    ]
    return [Task(i, (fragment,), source) for i, (fragment, source) in enumerate(pieces)]


def _pieces(source: Source, *, in_order: bool) -> list[Fragment]:
    forms = [(format_of(part.format), part) for part in source.parts]
    if in_order:
        return [form.whole(part) for form, part in forms]
    return [piece for form, part in forms for piece in form.split(part)]


def place_of(task: Task, row: int, part: int = 0, column: str | None = None) -> Place:
    """Give the place of a task's row in the file, counted from 1."""
    fragment = task.fragments[part]
    path, number = locate(fragment, row)
    return Place(path, number + 1, column)
