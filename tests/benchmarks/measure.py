"""Run processes one after another and measure each as the kernel saw it.

Only the standard library is imported here: the kernel starts a child's peak memory at that of the
process it was started from, so the one that measures has to stay small.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
BLOCK = 512  # the unit of ru_inblock, whatever the file system's own

# A run is disturbed when others used more than this share of its time; the counters are coarse.
DISTURBED_SHARE = 0.05
DISTURBED_FLOOR_S = 0.05


@dataclass(frozen=True)
class Sample:
    """One finished process: its times in seconds, its memory and reads in bytes."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    read_bytes: int
    foreign_s: float
    status: int
    stdout: str
    stderr: str

    @property
    def disturbed(self) -> bool:
        """Tell whether other work took processor time that this process might have wanted."""
        return self.foreign_s > DISTURBED_SHARE * self.wall_s + DISTURBED_FLOOR_S


def run_once(argv: list[str]) -> Sample:
    """Run one process to its end.

    Its output goes to files, so that a full pipe never holds it up.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        redirections = [
            (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, err.fileno(), 2),
        ]
        busy_before = _busy_seconds()
        started = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=redirections)
        _, wait_status, usage = os.wait4(pid, 0)
        wall_s = time.perf_counter() - started
        cpu_s = usage.ru_utime + usage.ru_stime
        return Sample(
            wall_s=wall_s,
            cpu_s=cpu_s,
            peak_bytes=usage.ru_maxrss * 1024,
            read_bytes=usage.ru_inblock * BLOCK,
            foreign_s=max(0.0, _busy_seconds() - busy_before - cpu_s),
            status=os.waitstatus_to_exitcode(wait_status),
            stdout=_text(out),
            stderr=_text(err),
        )


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _busy_seconds() -> float:
    """Add up the processor time of the whole machine, that taken by its host included."""
    with Path("/proc/stat").open() as stat:
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def warm(files: list[Path]) -> None:
    """Read the files once, so that every run finds them in the page cache."""
    buffer = bytearray(1 << 20)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def run_quietly(argv: list[str], files: list[Path], patience_s: float) -> Sample:
    """Run on warm files, waiting for a quiet machine and repeating disturbed runs for a while."""
    deadline = time.monotonic() + patience_s
    while True:
        _wait_for_quiet(deadline)
        warm(files)
        sample = run_once(argv)
        if not sample.disturbed or sample.status != 0 or time.monotonic() >= deadline:
            return sample


def _wait_for_quiet(deadline: float) -> None:
    interval_s = 0.25
    while time.monotonic() < deadline:
        before = _busy_seconds()
        time.sleep(interval_s)
        if _busy_seconds() - before <= DISTURBED_SHARE * interval_s + 1 / TICKS_PER_SECOND:
            return


def alternate(
    commands: dict[str, list[str]],
    files: list[Path],
    rounds: int,
    patience_s: float,
    note: Callable[[str], None],
) -> dict[str, list[Sample]]:
    """Run every command in turn, round after round; the first round only warms up.

    The samples of a command start with its warm-up. A command that fails is not run again.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, argv in commands.items():
            if samples[name] and samples[name][-1].status != 0:
                continue
            sample = run_quietly(argv, files, patience_s if number else 0.0)
            samples[name].append(sample)
            mark = " (disturbed)" if sample.disturbed else ""
            note(f"round {number} {name}: {sample.wall_s:.2f} s{mark}")
    return samples
