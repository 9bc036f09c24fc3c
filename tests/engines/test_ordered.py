"""The ordered engine: parts come in the order of the tasks, and nothing runs far ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lossctl.engines.local import Stopped
from lossctl.engines.ordered import AHEAD, run_in_order

JOBS = (1, 2, 5)


def numbered(task: int, stopped: Stopped) -> Iterator[tuple[int, int]]:
    """Give as many parts as the task says."""
    del stopped
    yield from ((task, part) for part in range(task % 4 * 10))


@pytest.mark.parametrize("jobs", JOBS)
def test_parts_come_in_the_order_of_the_tasks(jobs: int) -> None:
    """Tasks without a part and tasks with more than may wait among them."""
    tasks = list(range(30))
    expected = [part for task in tasks for part in numbered(task, lambda: False)]
    assert list(run_in_order(tasks, numbered, jobs)) == expected
    assert list(run_in_order([], numbered, jobs)) == []


@pytest.mark.parametrize("jobs", JOBS)
def test_threads_wait_for_a_reader_that_is_behind(jobs: int) -> None:
    """However many tasks there are, only so many parts exist that were not read."""
    lock, made, most = threading.Lock(), [0], [0]

    def step(task: int, stopped: Stopped) -> Iterator[int]:
        del stopped
        for _ in range(20):
            with lock:
                made[0] += 1
            yield task

    for read, _ in enumerate(run_in_order(list(range(100)), step, jobs), start=1):
        with lock:
            most[0] = max(most[0], made[0] - read)
    assert made[0] == 2000
    assert most[0] <= 2 * jobs * (AHEAD + 1)


@pytest.mark.parametrize("jobs", JOBS)
def test_the_first_failing_task_speaks_after_the_parts_before_it(jobs: int) -> None:
    """The same error on any number of threads, and no thread is left behind."""

    def step(task: int, stopped: Stopped) -> Iterator[int]:
        del stopped
        yield task
        if task in (3, 4, 9):
            message = f"task {task}"
            raise ValueError(message)

    seen = []
    with pytest.raises(ValueError, match="task 3"):
        seen += [seen.append(part) for part in run_in_order(list(range(20)), step, jobs)]
    assert seen[:4] == [0, 1, 2, 3]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lossctl-")]


@pytest.mark.parametrize("jobs", JOBS[1:])
def test_a_reader_that_leaves_stops_the_threads(jobs: int) -> None:
    """Those that wait for room and those that are at work."""

    def endless(task: int, stopped: Stopped) -> Iterator[int]:
        while not stopped():
            yield task

    parts = run_in_order(list(range(9)), endless, jobs)
    assert next(parts) == 0
    parts.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lossctl-")]
