"""Measure lossctl against its peers, whole processes in alternation, and print the table.

``README.md`` beside this file says how to run it and how to read what it prints.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import machine
import measure
import report
import verdicts
from jobs import JOBS, PEER_SCRIPTS, command

DATA_SCRIPT = Path(__file__).with_name("data.py")
PEERS = (*PEER_SCRIPTS, "decode")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(tempfile.gettempdir()) / "lossctl-benchmark",
        help="folder of the data sets, made where they are missing (default: %(default)s)",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the rows; 0.01 for a smoke run"
    )
    parser.add_argument(
        "--jobs",
        type=_names(tuple(JOBS)),
        default=list(JOBS),
        help="jobs to run, such as J1,J2 (default: all)",
    )
    parser.add_argument(
        "--peers", type=_names(PEERS), default=list(PEERS), help=f"some of {','.join(PEERS)}"
    )
    parser.add_argument(
        "--lossctl",
        type=Path,
        default=Path(sys.executable).with_name("lossctl"),
        help="the executable to measure; where it is missing, only the peers run",
    )
    parser.add_argument("--rounds", type=int, default=5, help="after one round of warm-up")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long a run may wait for a quiet machine, and be repeated when it was disturbed",
    )
    parser.add_argument("--out", type=Path, help="folder for benchmark.json and benchmark.md")
    return parser.parse_args()


def _names(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown:
            message = f"{unknown[0]!r} is not one of {', '.join(known)}"
            raise argparse.ArgumentTypeError(message)
        return names

    return parse


def note(text: str) -> None:
    """Tell how far the work is, apart from its result."""
    sys.stderr.write(f"{text}\n")


def make_data(names: tuple[str, ...], folder: Path, scale: float) -> list[Path]:
    """Make the data sets that are missing, in a process of their own, and give their paths."""
    options = ["--data", str(folder), "--scale", str(scale)]
    made = subprocess.run(
        [sys.executable, str(DATA_SCRIPT), *names, *options],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [Path(line) for line in made.stdout.splitlines()]


def run_job(name: str, options: argparse.Namespace) -> verdicts.Outcome | None:
    """Run all wanted contenders of one job; none when nothing is left to run."""
    wanted = [*options.peers, *(["lossctl"] if options.lossctl.exists() else [])]
    contenders = [
        contender for contender in JOBS[name].contenders if contender.partition("-")[0] in wanted
    ]
    if not contenders:
        return None
    files = make_data(JOBS[name].data, options.data, options.scale)
    commands = {
        contender: command(name, contender, files, options.threads, options.lossctl)
        for contender in contenders
    }
    samples = measure.alternate(
        commands, files, options.rounds, options.patience, lambda text: note(f"{name} {text}")
    )
    return verdicts.judge(name, samples)


COMPILE = "import compileall, lossctl; compileall.compile_dir(lossctl.__path__[0], quiet=1)"


def compile_package(lossctl: Path) -> None:
    """Compile the modules, as an installer does: a checkout may be run without writing them."""
    python = lossctl.with_name("python")
    subprocess.run([str(python), "-c", COMPILE], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Run the jobs, print the report, and fail when a contender failed or answers differ."""
    options = arguments()
    if not options.lossctl.exists():
        note(f"{options.lossctl} is missing: only the peers run")
    elif options.lossctl.with_name("python").exists():
        compile_package(options.lossctl)
    described = machine.describe(options.lossctl)
    settings = {"scale": options.scale, "rounds": options.rounds, "threads": options.threads}
    outcomes: dict[str, verdicts.Outcome] = {}
    for name in options.jobs:
        outcome = run_job(name, options)
        if outcome is None:
            continue
        outcomes[name] = outcome
        if options.out:
            # After every job, so that a run cut short keeps what it measured.
            options.out.mkdir(parents=True, exist_ok=True)
            document = report.document(outcomes, described, settings)
            (options.out / "benchmark.json").write_text(json.dumps(document, indent=1) + "\n")
            text = report.markdown(outcomes, described, settings)
            (options.out / "benchmark.md").write_text(text)
    sys.stdout.write(report.markdown(outcomes, described, settings))
    sound = all(not o.failures and not o.disagreements for o in outcomes.values())
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
