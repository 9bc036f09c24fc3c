"""The local engine for results in the order of the rows: threads that run ahead of one reader."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from lossctl.engines.local import Stopped, keep_freed_memory

AHEAD = 8
"""Parts of one task that wait for the reader at most."""

Task = TypeVar("Task")
Part = TypeVar("Part")


def run_in_order(
    tasks: Sequence[Task], step: Callable[[Task, Stopped], Iterator[Part]], jobs: int
) -> Iterator[Part]:
    """Run a step over every task on several threads and give its parts in the tasks' order.

    A thread that is ahead of the reader waits, so that no more than a few parts are ever held.
    The first task that fails, in the tasks' order, raises its error after the parts before it.
    """
    keep_freed_memory()
    if jobs == 1 or not tasks:
        for task in tasks:
            yield from step(task, lambda: False)
        return
    lanes = _Lanes[Part](len(tasks), ahead=2 * jobs)
    threads = [
        threading.Thread(target=_work, args=(lanes, tasks, step), name=f"lossctl-{number}")
        for number in range(min(jobs, len(tasks)))
    ]
    try:
        for thread in threads:
            thread.start()
        for number in range(len(tasks)):
            yield from lanes.parts(number)
    finally:
        lanes.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


class _Lanes(Generic[Part]):
    """The parts of each task on their way from the threads to the reader."""

    def __init__(self, tasks: int, ahead: int) -> None:
        self.tasks, self.ahead = tasks, ahead
        self.changed = threading.Condition()
        self.waiting: dict[int, deque[Part]] = {}
        self.outcomes: dict[int, BaseException | None] = {}
        """How each task has ended that has."""
        self.begun, self.reading, self.stopped = 0, 0, False

    def is_stopped(self) -> bool:
        """Tell whether nobody reads any more."""
        return self.stopped

    def stop(self) -> None:
        """Let the threads go."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def begin(self) -> int | None:
        """Give the next task once the reader is near enough; None when there is none left."""
        with self.changed:
            self.changed.wait_for(lambda: self.stopped or self.begun - self.reading < self.ahead)
            if self.stopped or self.begun == self.tasks:
                return None
            self.begun += 1
            self.waiting[self.begun - 1] = deque()
            return self.begun - 1

    def put(self, number: int, part: Part) -> bool:
        """Hand a part over once there is room; tell whether anybody still reads."""
        with self.changed:
            lane = self.waiting[number]
            self.changed.wait_for(lambda: self.stopped or len(lane) < AHEAD)
            lane.append(part)
            self.changed.notify_all()
            return not self.stopped

    def end(self, number: int, error: BaseException | None) -> None:
        """Note how a task has ended."""
        with self.changed:
            self.outcomes[number] = error
            self.changed.notify_all()

    def parts(self, number: int) -> Iterator[Part]:
        """Give the parts of a task as they come."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting.get(number) or number in self.outcomes)
                if not self.waiting[number]:
                    break
                part = self.waiting[number].popleft()
                self.changed.notify_all()
            yield part
        with self.changed:
            error = self.outcomes[number]
            del self.waiting[number]
            self.reading = number + 1
            self.changed.notify_all()
        if error is not None:
            raise error


def _work(
    lanes: _Lanes[Part], tasks: Sequence[Task], step: Callable[[Task, Stopped], Iterator[Part]]
) -> None:
    while (number := lanes.begin()) is not None:
        error: BaseException | None = None
        try:
            for part in step(tasks[number], lanes.is_stopped):
                if not lanes.put(number, part):
                    break
        except BaseException as caught:  # noqa: BLE001 - the reader raises it in its turn
            error = caught
        lanes.end(number, error)
