"""Keeping the state of a run in a file, and going on from what an earlier run left there."""

from __future__ import annotations

from pathlib import Path

from lossctl.cli.output import check_writable, write_whole
from lossctl.errors import UsageError
from lossctl.plan import Plan
from lossctl.state import State, empty_state
from lossctl.statefile import Saved, dump, inputs_of, load


class Keeper:
    """The state of a run and its file, if it has one."""

    def __init__(self, plan: Plan, path: str | None, *, resume: bool) -> None:
        """Read the state to go on from, if any.

        Raises
        ------
        UsageError
            There is nothing to resume from, or a state that would be lost.
        StateError
            The state there was made by other settings or from other files.

        """
        if resume and path is None:
            raise UsageError("--resume needs --state-out FILE to go on from")
        self.path = None if path is None else Path(path)
        inputs = inputs_of(plan.reading.sources)
        self.saved = Saved(plan.settings, empty_state(plan.settings), inputs)
        if self.path is None:
            return
        check_writable(self.path)
        if not self.path.exists():
            return
        if not resume:
            hint = "--resume goes on from it; remove it to start anew"
            raise UsageError(f"{path} exists already", hint=hint)
        before = load(str(path))
        self.saved.check_inputs(before, str(path))
        self.saved.merge(before)

    @property
    def done(self) -> State:
        """What is measured already."""
        return self.saved.state

    def save(self, state: State) -> None:
        """Write the state so far, whole."""
        if self.path is not None:
            self.saved.state = state
            write_whole(self.path, dump(self.saved))
