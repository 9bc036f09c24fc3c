"""Which files are scored into which: one into one, or a folder into a folder of the same shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from lossctl.cli.output import check_free, check_writable
from lossctl.data import naming
from lossctl.data.sinks import SUFFIXES, form_of
from lossctl.errors import Gathered, InputError, Place, UsageError
from lossctl.record import record
from lossctl.score import Emit


@record
class Job:
    """The files to read together, and the one to write."""

    inputs: tuple[str, ...]
    output: Path


def read_emit(text: str) -> tuple[Emit, ...]:
    """Read what to write of each loss.

    Raises
    ------
    UsageError
        It is none of the words.

    """
    known: tuple[Emit, ...] = get_args(Emit)
    told = [part.strip() for part in text.split(",")]
    if unknown := [part for part in told if part not in known]:
        raise UsageError(f"--emit takes some of {', '.join(known)}, not {unknown[0]!r}")
    return tuple(what for what in known if what in told)


def find_jobs(
    predictions: str,
    targets: str | None,
    output: str,
    suffix: str,
    *,
    overwrite: bool,
    resume: bool,
) -> list[Job]:
    """Find what is to be written, and refuse what stands in the way.

    Raises
    ------
    LossctlError
        A file exists already, cannot be written, or has no partner; all that is wrong.

    """
    wrong = Gathered()
    if Path(predictions).is_dir():
        inside = Path(output).resolve().is_relative_to(Path(predictions).resolve())
        with wrong:
            if inside:
                message = f"{output} lies in the folder that is read"
                raise UsageError(message, hint="the next run would read the scores as predictions")
        wrong.settle()
        jobs = _jobs_of_tree(Path(predictions), targets, Path(output), suffix, wrong)
    else:
        inputs = (predictions,) if targets is None else (predictions, targets)
        jobs = [Job(inputs, Path(output))]
        with wrong:
            check_writable(Path(output))
    for job in jobs:
        with wrong:
            check_free(job.output, job.inputs)
            _check_form(job.output, resume=resume)
            if job.output.exists() and not (overwrite or resume):
                hint = "--overwrite replaces it"
                raise UsageError(f"{job.output} exists already", hint=hint)
    wrong.settle()
    return jobs


def _check_form(path: Path, *, resume: bool) -> None:
    if form_of(str(path)) != "parquet" and resume:
        raise UsageError(
            f"--resume: {path} cannot say what it was made from",
            hint="Parquet files can; --overwrite makes others anew",
        )


def _jobs_of_tree(
    folder: Path, targets: str | None, output: Path, suffix: str, wrong: Gathered
) -> list[Job]:
    """Pair each file of a folder with the one of the same name among the targets."""
    with wrong:
        if f".{suffix}" not in SUFFIXES:
            known = ", ".join(name.removeprefix(".") for name in SUFFIXES)
            raise UsageError(f"--as takes one of {known}, not {suffix!r}")
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output} is no folder, but {folder} is one")
        if targets is not None and not Path(targets).is_dir():
            raise UsageError(f"{targets} is no folder, but {folder} is one")
    found: dict[Path, Job] = {}
    for file in _files(folder):
        place = file.relative_to(folder)
        written = output / f"{_stem(place)}.{suffix}"
        with wrong:
            partners = [] if targets is None else [str(_partner(Path(targets), place))]
            inputs = (str(file), *partners)
            if written in found:
                first = found[written].inputs[0]
                raise UsageError(f"{file} and {first} would both be scored into {written}")
            found[written] = Job(inputs, written)
    with wrong:
        if not found and not wrong.errors:
            hint = f"known suffixes: {', '.join(naming.SUFFIXES)}"
            raise InputError("no file to score", hint=hint, place=Place(str(folder)))
    return list(found.values())


def _files(folder: Path) -> Iterator[Path]:
    """Give the data files under a folder in the order of their names; hidden ones are none."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        if path.is_file() and naming.promised(path.name)[0] and not hidden:
            yield path


def _partner(folder: Path, place: Path) -> Path:
    """Find the file of the same name, with the same suffix if there are several."""
    if (folder / place).is_file():
        return folder / place
    stem = _stem(place)
    near = [path for path in _files(folder) if _stem(path.relative_to(folder)) == stem]
    if len(near) != 1:
        message = f"no file {stem} among the targets" if not near else f"several files {stem}"
        raise InputError(message, place=Place(str(folder)))
    return near[0]


def _stem(path: Path) -> Path:
    """Give a path without the suffixes that tell format and compression."""
    bare = path.with_suffix("") if path.suffix.lower() in naming.COMPRESSIONS else path
    return bare.with_suffix("")
