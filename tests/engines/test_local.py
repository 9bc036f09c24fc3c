"""The local engine: states in any order, bounded read-ahead, one certain error, no thread left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from lossctl.engines.local import Stopped, run, usable_cores

PATIENCE = 10.0
"""Seconds after which a test that waits gives up."""

every_number_of_jobs = pytest.mark.parametrize("jobs", [1, 2, 3, 8])


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    """Hold every test to it that the engine cleans up, however the run ends."""
    yield
    assert not [thread.name for thread in threading.enumerate() if "lossctl" in thread.name]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def square(task: int, stopped: Stopped) -> int:
    """Do the least of work."""
    assert not stopped()
    return task * task


@every_number_of_jobs
@pytest.mark.parametrize("count", [0, 1, 2, 5, 50])
def test_every_task_gives_its_state_once(jobs: int, count: int) -> None:
    """In whatever order, none is lost and none comes twice."""
    assert sorted(run(range(count), square, jobs)) == [task * task for task in range(count)]


def test_a_finished_state_does_not_wait_for_an_earlier_one() -> None:
    """The second task is handed on while the first is still at work."""
    handed_on = threading.Event()

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        assert task == 1 or handed_on.wait(PATIENCE)
        return task

    states = run(range(2), step, 2)
    assert next(states) == 1
    handed_on.set()
    assert list(states) == [0]


@pytest.mark.parametrize("jobs", [2, 3])
def test_only_so_many_tasks_run_at_a_time(jobs: int) -> None:
    """As many as there are jobs, on threads that bear the program's name."""
    lock = threading.Lock()
    running, most, names = 0, 0, set()

    def step(task: int, stopped: Stopped) -> int:
        nonlocal running, most
        del stopped
        with lock:
            running += 1
            most = max(most, running)
            names.add(threading.current_thread().name)
        time.sleep(0.002)
        with lock:
            running -= 1
        return task

    assert len(list(run(range(20), step, jobs))) == 20
    assert most <= jobs
    assert all("lossctl" in name for name in names)


def test_one_job_needs_no_thread() -> None:
    """The caller's own thread does the work, a task whenever a state is asked for."""
    names: list[str] = []

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        names.append(threading.current_thread().name)
        return task

    states = run(range(3), step, 1)
    assert next(states) == 0
    assert names == [threading.current_thread().name]
    assert list(states) == [1, 2]


@pytest.mark.parametrize("jobs", [2, 3])
def test_no_more_than_two_tasks_a_job_are_started_ahead(jobs: int) -> None:
    """A slow consumer holds back the readers, so that finished states do not pile up."""
    started: list[int] = []

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        started.append(task)
        return task

    states = run(range(100), step, jobs)
    taken = 0
    for _ in states:
        taken += 1
        time.sleep(0.005 if taken < 10 else 0.0)
        assert len(started) - taken <= 2 * jobs
    assert taken == len(started) == 100


@every_number_of_jobs
def test_the_error_of_the_earliest_task_is_raised(jobs: int) -> None:
    """A later task that fails sooner does not decide what the user is told."""
    failed = threading.Event()

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        if task == 2:
            failed.set()
            raise ValueError(task)
        if task == 1:
            # Alone on the caller's thread, the earlier task comes first anyway.
            failed.wait(PATIENCE if jobs > 1 else 0.0)
            raise ValueError(task)
        return task

    with pytest.raises(ValueError, match="1"):
        list(run(range(20), step, jobs))


def test_no_task_is_handed_out_after_a_failure_is_known(
    when_a_failure_is_known: Callable[[Callable[[], None]], None],
) -> None:
    """What was handed out finishes, since an earlier failure may be among it; the rest is left."""
    started: list[int] = []
    counts: list[int] = []

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        started.append(task)
        if task == 10:
            raise ValueError(task)
        return task

    when_a_failure_is_known(lambda: counts.append(len(started)))
    with pytest.raises(ValueError, match="10"):
        list(run(range(10_000), step, 2))
    assert len(started) <= counts[0] + 2 * 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_task_reaches_the_caller(error: type[BaseException]) -> None:
    """Not only ordinary exceptions cross the thread."""

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        if task == 1:
            raise error
        return task

    with pytest.raises(error):
        list(run(range(5), step, 2))


def test_whoever_stops_asking_stops_the_work() -> None:
    """Closing the run tells running steps to stop, starts no other and waits for the threads."""
    started: list[int] = []
    told: list[int] = []

    def step(task: int, stopped: Stopped) -> int:
        started.append(task)
        if task > 0:
            wait_until(stopped)
            told.append(task)
        return task

    states = run(range(100), step, 3)
    assert next(states) == 0
    wait_until(lambda: len(started) > 1)
    states.close()  # type: ignore[attr-defined]
    assert sorted(told) == sorted(task for task in started if task > 0)
    assert len(started) <= 1 + 2 * 3


def test_the_cores_are_those_that_the_process_may_use() -> None:
    """At least one, and no more than the machine has."""
    assert 1 <= usable_cores() <= 4096
