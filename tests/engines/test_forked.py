"""The forked engine: what the local one promises, with processes of which none is left behind."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lossctl import errors
from lossctl.engines import forked
from lossctl.engines.forked import run
from lossctl.engines.local import Stopped

PATIENCE = 10.0
every_number_of_jobs = pytest.mark.parametrize("jobs", [1, 2, 3, 8])


def descriptors() -> int:
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended may wait to be asked how."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold every test to it that neither processes nor pipes remain, however the run ends."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("processes are forked on Linux only")
    # Whoever runs the tests may have threads, which do not matter to these steps.
    monkeypatch.setattr(forked, "_may_fork", lambda: True)
    before = descriptors()
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert descriptors() == before


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


class Log:
    """Numbers that any process may add to, for all to see."""

    def __init__(self, path: Path) -> None:
        """Start empty."""
        self.path = path
        path.touch()

    def add(self, number: int) -> None:
        """Add a number."""
        with self.path.open("a") as file:
            file.write(f"{number}\n")

    def numbers(self) -> list[int]:
        """Give what was added."""
        return [int(line) for line in self.path.read_text().split()]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Give an empty log."""
    return Log(tmp_path / "log")


def square(task: int, stopped: Stopped) -> int:
    """Do the least of work."""
    assert not stopped()
    return task * task


@every_number_of_jobs
@pytest.mark.parametrize("count", [0, 1, 2, 5, 50])
def test_every_task_gives_its_state_once(jobs: int, count: int) -> None:
    """In whatever order, none is lost and none comes twice."""
    assert sorted(run(range(count), square, jobs)) == [task * task for task in range(count)]


def test_tasks_run_in_as_many_other_processes_as_jobs(log: Log) -> None:
    """This process only collects; what a step changes in its copy is not seen here."""
    seen: list[int] = []

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        seen.append(task)
        log.add(os.getpid())
        wait_until(lambda: len(set(log.numbers())) == 3)
        return os.getpid()

    found = set(run(range(40), step, 3))
    assert len(found) == 3
    assert os.getpid() not in found
    assert seen == []


def test_large_states_come_whole() -> None:
    """Larger than any pipe, and told apart."""

    def step(task: int, stopped: Stopped) -> np.ndarray:
        del stopped
        return np.full(1_000_003, task)

    states = list(run(range(6), step, 2))
    assert sorted(int(state[0]) for state in states) == list(range(6))
    assert all(len(state) == 1_000_003 and (state == state[0]).all() for state in states)


@pytest.mark.parametrize("jobs", [2, 3])
def test_no_more_than_two_tasks_a_job_are_started_ahead(jobs: int, log: Log) -> None:
    """A slow consumer holds back the workers, so that finished states do not pile up."""

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        log.add(task)
        return task

    taken = 0
    for _ in run(range(60), step, jobs):
        taken += 1
        time.sleep(0.005 if taken < 10 else 0.0)
        assert len(log.numbers()) - taken <= 2 * jobs
    assert taken == len(log.numbers()) == 60


@every_number_of_jobs
def test_the_error_of_the_earliest_task_is_raised(jobs: int, log: Log) -> None:
    """A later task that fails sooner does not decide what the user is told."""

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        if task == 2:
            log.add(task)
            raise ValueError(task)
        if task == 1:
            if jobs > 1:
                wait_until(lambda: bool(log.numbers()))
            raise ValueError(task)
        return task

    with pytest.raises(ValueError, match="1"):
        list(run(range(20), step, jobs))


def test_no_task_is_handed_out_after_a_failure_is_known(
    log: Log, when_a_failure_is_known: Callable[[Callable[[], None]], None]
) -> None:
    """What was handed out finishes, since an earlier failure may be among it; the rest is left."""
    counts: list[int] = []

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        log.add(task)
        if task == 10:
            raise ValueError(task)
        return task

    when_a_failure_is_known(lambda: counts.append(len(log.numbers())))
    with pytest.raises(ValueError, match="10"):
        list(run(range(10_000), step, 2))
    assert len(log.numbers()) <= counts[0] + 2 * 2


def kinds_of_errors(kind: type[errors.LossctlError]) -> list[errors.LossctlError]:
    """Give one error of a class and of each class below it."""
    if kind is errors.SeveralErrors:
        made: errors.LossctlError = kind([errors.SpecError("one"), errors.InputError("two")])
    else:
        # Whatever a class asks for itself, it is made of these parts.
        made, place = kind.__new__(kind), errors.Place("file", 3, "column", ("key",))
        errors.LossctlError.__init__(made, "what is wrong", hint="what to try", place=place)
    return [made, *(error for below in kind.__subclasses__() for error in kinds_of_errors(below))]


KINDS = kinds_of_errors(errors.LossctlError)


@pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)
def test_an_error_of_a_task_comes_whole(error: errors.LossctlError) -> None:
    """With its place and its hint, as what it is; the traceback is there for --debug."""

    def step(task: int, stopped: Stopped) -> int:
        del task, stopped
        raise error

    with pytest.raises(type(error)) as caught:
        list(run(range(4), step, 2))
    assert caught.value is not error
    assert str(caught.value) == str(error)
    assert caught.value.as_json() == error.as_json()
    assert "test_forked.py" in caught.value.__notes__[0]


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    """It is a bug then, and its traceback names it."""

    class Local(Exception):  # noqa: N818 - what pickle cannot find
        pass

    def step(task: int, stopped: Stopped) -> int:
        del task, stopped
        raise Local("of this test")

    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(Local())
    with pytest.raises(RuntimeError, match="of this test"):
        list(run(range(4), step, 2))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_task_reaches_the_caller(error: type[BaseException]) -> None:
    """Not only ordinary exceptions come back."""

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        if task == 1:
            raise error
        return task

    with pytest.raises(error):
        list(run(range(5), step, 2))


def test_whoever_stops_asking_stops_the_work(log: Log) -> None:
    """Closing the run ends the workers in the middle of their tasks."""

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        log.add(task)
        if task > 0:
            time.sleep(10 * PATIENCE)
        return task

    states = run(range(100), step, 3)
    assert next(states) == 0
    wait_until(lambda: len(log.numbers()) > 1)
    states.close()  # type: ignore[attr-defined]
    assert len(log.numbers()) <= 1 + 2 * 3


def test_a_killed_worker_is_an_error() -> None:
    """Its task is not left out in silence."""

    def step(task: int, stopped: Stopped) -> int:
        del stopped
        if task == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    with pytest.raises(errors.WorkerError, match="killed"):
        list(run(range(10), step, 2))


def test_workers_end_with_the_process_that_started_them(log: Log) -> None:
    """Killed without a chance to say so, it takes them along after the task they are at."""
    pid = os.fork()
    if pid == 0:
        try:

            def step(task: int, stopped: Stopped) -> int:
                del task, stopped
                log.add(os.getpid())
                return 0

            for _ in run(range(1000), step, 2):
                time.sleep(PATIENCE)
        finally:
            os._exit(1)
    wait_until(lambda: len(log.numbers()) > 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_until(lambda: not any(map(is_alive, log.numbers())))


def test_without_a_safe_way_to_fork_threads_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may hold a lock that its copy would wait for without end."""
    monkeypatch.undo()
    ready = threading.Event()
    other = threading.Thread(target=ready.wait)
    other.start()
    try:
        assert not forked._may_fork()
        found = set(run(range(40), lambda task, _: (task, os.getpid()), 3))
    finally:
        ready.set()
        other.join()
    assert found == {(task, os.getpid()) for task in range(40)}
