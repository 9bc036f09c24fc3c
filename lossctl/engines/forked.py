"""The forked engine: processes that share nothing in the place of the local engine's threads.

Threads wait for each other wherever Python runs between two calls of NumPy. A forked process has
the tasks and the step as they are, nothing is sent to it but the numbers of tasks, and what comes
back is its pickled state. It is for a process that forks before it has threads: the command's.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, Self, TypeVar

from lossctl.engines import local
from lossctl.engines.local import Stopped
from lossctl.errors import WorkerError

Task = TypeVar("Task")
State = TypeVar("State")

NUMBER = struct.Struct("=i")
LENGTH = struct.Struct("=q")
HARMLESS = ("jemalloc_bg_thd",)
"""Threads of libraries that are started anew in a copy, or not missed there."""


def run(
    tasks: Sequence[Task], step: Callable[[Task, Stopped], State], jobs: int
) -> Iterator[State]:
    """Run a step over every task in several processes and give the states as they come.

    The same as `lossctl.engines.local.run`, which it leaves the work to where there is nothing to
    share out or no safe way to fork. A step must not count on being seen by the caller: it runs in
    a copy of the process, and only the state that it gives comes back.

    Raises
    ------
    WorkerError
        A process was killed.

    """
    if jobs == 1 or len(tasks) < 2 or not _may_fork():
        yield from local.run(tasks, step, jobs)
        return
    local.keep_freed_memory()
    yield from local.settle(partial(_run_forked, tasks, step, min(jobs, len(tasks))))


def _may_fork() -> bool:
    """Tell whether a copy of this process is whole: other threads would be missing in it."""
    if sys.platform != "linux":
        return False
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return len([name for name in names if name not in HARMLESS]) == 1


def _run_forked(
    tasks: Sequence[Task],
    step: Callable[[Task, Stopped], State],
    jobs: int,
    failures: Mapping[int, BaseException],
) -> Iterator[tuple[int, State | BaseException]]:
    """Give task numbers and outcomes as they come; start no more tasks once one has failed."""
    waiting = list(reversed(range(len(tasks))))
    running = 0
    with _Workers(partial(_work, tasks, step), jobs) as workers:
        while waiting or running:
            while waiting and running < 2 * jobs and not failures:
                workers.send(waiting.pop())
                running += 1
            if not running:
                return
            for message in workers.receive():
                running -= 1
                yield pickle.loads(message)  # noqa: S301 - from a copy of this very process


def _work(
    tasks: Sequence[Task], step: Callable[[Task, Stopped], State], inbox: int, outbox: int
) -> None:
    """Run the tasks whose numbers come in, until no more can come."""
    while len(word := os.read(inbox, NUMBER.size)) == NUMBER.size:
        (number,) = NUMBER.unpack(word)
        outcome: State | BaseException
        try:
            outcome = step(tasks[number], lambda: False)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is to have it
            outcome = _portable(error)
        data = pickle.dumps((number, outcome), pickle.HIGHEST_PROTOCOL)
        _write(outbox, LENGTH.pack(len(data)) + data)


class _Workers:
    """Forked processes that take numbers from one pipe and answer on a pipe each."""

    def __init__(self, work: Callable[[int, int], None], jobs: int) -> None:
        self._answers = selectors.DefaultSelector()
        self._pids: list[int] = []
        inbox, self._outgoing = os.pipe()
        try:
            for _ in range(jobs):
                self._start(work, inbox)
        except BaseException:
            self.__exit__()
            raise
        finally:
            os.close(inbox)

    def __enter__(self) -> Self:
        """Give the workers, at work already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them at once, whatever they are at."""
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._pids:
            os.waitpid(pid, 0)
        self._close()

    def send(self, number: int) -> None:
        """Hand out the number of a task, to whichever comes for it first."""
        os.write(self._outgoing, NUMBER.pack(number))

    def receive(self) -> Iterator[bytes]:
        """Wait for an answer, and give all that are there.

        Raises
        ------
        WorkerError
            A worker is gone.

        """
        for key, _ in self._answers.select():
            head = _read(key.fd, LENGTH.size)
            data = _read(key.fd, *LENGTH.unpack(head)) if head else b""
            if not data:
                raise WorkerError(
                    "a worker process was killed, perhaps for want of memory",
                    hint="--jobs 1 and a smaller --chunk-rows need less of it",
                )
            yield data

    def _start(self, work: Callable[[int, int], None], inbox: int) -> None:
        answer, outbox = os.pipe()
        with warnings.catch_warnings():
            # Libraries may have threads of their own; they know how to be forked.
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            self._become_worker(work, inbox, outbox, answer)
        self._pids.append(pid)
        os.close(outbox)
        self._answers.register(answer, selectors.EVENT_READ)

    def _become_worker(
        self, work: Callable[[int, int], None], inbox: int, outbox: int, answer: int
    ) -> NoReturn:
        """Work in the copy of the process, and end it without what the original does at its end."""
        status = 1
        try:
            # Ctrl-C reaches every process of a terminal; the original ends its workers.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            # A pipe ends when its last writer does: none must stay open here by mistake.
            os.close(answer)
            self._close()
            work(inbox, outbox)
            status = 0
        finally:
            os._exit(status)

    def _close(self) -> None:
        for key in list(self._answers.get_map().values()):
            os.close(key.fd)
        self._answers.close()
        os.close(self._outgoing)


def _portable(error: BaseException) -> BaseException:
    """Make sure that an error can be sent, with its traceback as text."""
    import traceback

    text = "".join(traceback.format_exception(error)).rstrip()
    error.add_note(f"In a worker process:\n{text}")
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - it can fail in any way
        return RuntimeError(text)
    return error


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read(descriptor: int, length: int) -> bytes:
    """Read so many bytes; fewer, and then none at all, where the writer is gone."""
    parts, left = [], length
    while left:
        part = os.read(descriptor, left)
        if not part:
            return b""
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
