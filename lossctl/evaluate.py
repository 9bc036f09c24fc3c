"""Evaluation: plan -> chunks -> kernels -> states -> report. No printing, no options."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lossctl import __version__
from lossctl.collect import Engine, Progress, collect
from lossctl.data.source import inputs_of
from lossctl.engines.local import run
from lossctl.measure import measure
from lossctl.plan import Plan
from lossctl.report import Report
from lossctl.state import State, empty_state
from lossctl.summarise import summarise

Checkpoint = Callable[[State], None]
CHECKPOINT_S = 10.0


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
