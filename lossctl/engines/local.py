"""The local engine: a few threads over tasks, with bounded read-ahead."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

import numpy as np

KEPT_BYTES = 16 << 20

Task = TypeVar("Task")
State = TypeVar("State")
Stopped = Callable[[], bool]
"""Asked by a running step between chunks; true when its result is no longer wanted."""


def usable_cores() -> int:
    """Give the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    tasks: Sequence[Task], step: Callable[[Task, Stopped], State], jobs: int
) -> Iterator[State]:
    """Run a step over every task on several threads and give the states as they come.

    A failing step stops the run. Of several failures the one of the earliest task is raised, so
    that the same input gives the same error on any number of threads.
    """
    keep_freed_memory()
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            yield step(task, lambda: False)
        return
    yield from settle(partial(_run_threaded, tasks, step, jobs))


def settle(
    outcomes: Callable[[Mapping[int, BaseException]], Iterator[tuple[int, State | BaseException]]],
) -> Iterator[State]:
    """Give the states among the outcomes of tasks; raise the failure of the earliest task.

    ``outcomes`` is handed the failures so far, which tell it to start no more tasks.
    """
    failures: dict[int, BaseException] = {}
    for number, outcome in outcomes(failures):
        if isinstance(outcome, BaseException):
            failures[number] = outcome
        elif not failures:
            yield outcome
    if failures:
        raise failures[min(failures)]


def keep_freed_memory() -> None:
    """Make the C library keep freed memory instead of giving it back and fetching it anew.

    Every chunk frees arrays of the same sizes as the next one needs. glibc raises its thresholds
    for returning memory to those of the largest block that was ever freed, and an array that is
    never touched costs nothing; without this two thirds of a run can go into page faults.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)


def _run_threaded(
    tasks: Sequence[Task],
    step: Callable[[Task, Stopped], State],
    jobs: int,
    failures: Mapping[int, BaseException],
) -> Iterator[tuple[int, State | BaseException]]:
    """Give task numbers and outcomes as they come; start no more tasks once one has failed."""
    stop = threading.Event()
    waiting = list(reversed(range(len(tasks))))
    running: dict[Future[State], int] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="lossctl") as pool:
        try:
            while waiting or running:
                while waiting and len(running) < 2 * jobs and not failures:
                    number = waiting.pop()
                    running[pool.submit(step, tasks[number], stop.is_set)] = number
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.exception() or future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
