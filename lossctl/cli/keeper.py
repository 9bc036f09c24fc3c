"""Keeping the state of a run in a file, and going on from what an earlier run left there."""

from __future__ import annotations

from pathlib import Path

from lossctl.cli.output import check_writable, write_whole
from lossctl.data.source import stamped_inputs
from lossctl.data.tasks import tasks
from lossctl.errors import UsageError
from lossctl.plan import Plan
from lossctl.state import State, empty_state
from lossctl.statefile import Saved, dump, load


class Keeper:
    """The state of a run and its file, if it has one."""

    def __init__(self, plan: Plan, path: str | None, *, resume: bool) -> None:
        """Read the state to go on from, if any.

        Raises
        ------
        UsageError
            There is nothing to resume from, or a state that would be lost.
        StateError
            The state there is damaged, or was made by other settings or from other files.

        """
        if resume and path is None:
            raise UsageError("--resume needs --state-out FILE to go on from")
        self.path = None if path is None else Path(path)
        inputs = stamped_inputs(plan.reading.sources)
        self.saved = Saved(plan.settings, empty_state(plan.settings), inputs, complete=False)
        if self.path is None:
            return
        check_writable(self.path)
        self.roads = [
            {task.piece for task in tasks(plan.reading, in_order=in_order)}
            for in_order in (False, True)
        ]
        if not self.path.exists():
            return
        if not resume:
            hint = "--resume goes on from it; remove it to start anew"
            raise UsageError(f"{path} exists already", hint=hint)
        before = load(str(path), [spec.loss for spec in plan.specs])
        self.saved.check_same_run(before, str(path))
        # What was read by the slow road cannot be put together with pieces of the fast one.
        if before.state.read.keys() <= self.roads[0]:
            self.saved.state = before.state

    @property
    def done(self) -> State:
        """What is measured already."""
        return self.saved.state

    def save(self, state: State) -> None:
        """Write the state so far, whole."""
        if self.path is not None:
            self.saved.state = state
            self.saved.complete = any(pieces <= state.read.keys() for pieces in self.roads)
            write_whole(self.path, dump(self.saved))
