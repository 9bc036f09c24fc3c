"""Measuring the jobs of a batch, and keeping the state of each in a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossctl.batch import Measured, checked
from lossctl.cli.keeper import Keeper
from lossctl.cli.planning import plan_files
from lossctl.data.source import inputs_of
from lossctl.errors import Gathered, OutputError, Place, UsageError
from lossctl.evaluate import measure_all
from lossctl.jobs import Job

SUFFIX = ".state"


class JobMeasure:
    """Plans a job by the options of the command, and measures what its state lacks."""

    def __init__(
        self, losses: list[str], options: Mapping[str, Any], states: Path | None, *, resume: bool
    ) -> None:
        """Keep what all jobs have in common."""
        self.losses, self.options, self.states, self.resume = losses, options, states, resume

    def __call__(self, job: Job) -> Measured:
        """Measure one job.

        Raises
        ------
        LossctlError
            It cannot be measured, or its state is of other files or settings.

        """
        plan = plan_files(Gathered(), job.files, self.losses, **self.options)
        path = None if self.states is None else str(self.states / state_name(job))
        keeper = Keeper(plan, path, resume=self.resume)
        state = measure_all(plan, done=keeper.done, checkpoint=keeper.save)
        return checked(Measured(plan.settings, state, inputs_of(plan.reading.sources)))


def state_name(job: Job) -> str:
    """Name the state file of a job by its labels, and by a digest where those are no file name."""
    values = "-".join(re.sub(r"[^\w.=+]+", "_", value) for value in job.labels.values())[:80]
    # A name of a file that is no text has letters that UTF-8 has not.
    name = job.name.encode("utf-8", "backslashreplace")
    return f"{values}-{hashlib.sha256(name).hexdigest()[:8]}{SUFFIX}"


def prepare(folder: str | None, jobs: Sequence[Job], *, resume: bool) -> Path | None:
    """Make the folder of the states if there is none.

    Raises
    ------
    UsageError
        There are states of these jobs, and nobody asked to go on from them; or there is nothing
        to go on from.
    OutputError
        The folder cannot be made.

    """
    if folder is None:
        if resume:
            raise UsageError("--resume needs --state-dir DIR to go on from")
        return None
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(error.strerror or str(error), place=Place(folder)) from error
    if not resume and any((path / state_name(job)).exists() for job in jobs):
        hint = "--resume goes on from them; remove them to start anew"
        raise UsageError(f"{folder} holds states of these jobs already", hint=hint)
    return path
