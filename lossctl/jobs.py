"""Jobs: which files a batch is made of, found by a pattern or listed in a manifest."""

from __future__ import annotations

import csv
import glob
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date, time
from pathlib import Path
from typing import Any

from lossctl.errors import Gathered, InputError, Place, UsageError
from lossctl.record import record

PREDICTIONS, TARGETS = "predictions", "targets"
"""What a manifest calls the files of a job; all that stands beside them are labels."""
LABEL = re.compile(r"\{([^{}]*)\}")
SHOWN = 8
"""Columns of a file that are named where it is no manifest."""
MANIFESTS = (".csv", ".tsv", ".json", ".toml")


@record
class Job:
    """One evaluation of a batch: its files, and the labels that tell it from the others."""

    predictions: str
    targets: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The files, predictions first."""
        return [file for file in (self.predictions, self.targets) if file is not None]

    @property
    def name(self) -> str:
        """The labels in words, as in ``model=a, day=monday``."""
        return ", ".join(f"{label}={value}" for label, value in self.labels.items())


def find_jobs(text: str, targets: str | None) -> list[Job]:
    """Find the jobs that a pattern or a manifest means, and the targets of each.

    In ``preds/{model}/{day}.parquet`` each ``{label}`` stands for a part of a name, and targets
    such as ``labels/{day}.parquet`` are filled in with what it stands for.

    Raises
    ------
    UsageError, SeveralErrors
        The pattern or the manifest is wrong, or two jobs cannot be told apart.
    InputError
        There is no file, or the manifest cannot be read.

    """
    is_pattern = LABEL.search(text) is not None or glob.has_magic(text)
    jobs = list(_by_pattern(text)) if is_pattern else _by_manifest(text)
    if not jobs:
        raise InputError("no file matches" if is_pattern else "no jobs", place=Place(text))
    wrong = Gathered()
    if targets is not None:
        jobs = [wrong.of(_with_targets, job, targets) or job for job in jobs]
    for what, key in (("labels", lambda job: job.name), (PREDICTIONS, lambda job: job.predictions)):
        with wrong:
            _check_distinct(what, map(key, jobs), text)
    wrong.settle()
    return jobs


def _by_pattern(pattern: str) -> Iterator[Job]:
    names = LABEL.findall(pattern)
    for name in names:
        if not name.isidentifier():
            raise UsageError(f"{{{name}}} is no label", hint="as in 'preds/{model}/{day}.csv'")
    form = re.compile(_as_regex(pattern))
    paths = glob.glob(LABEL.sub("*", pattern), recursive=True)  # noqa: PTH207 - may be absolute
    for path in sorted(paths):
        found = form.fullmatch(path)
        if found is not None and Path(path).is_file():
            yield Job(path, None, found.groupdict() or {"file": path})


def _as_regex(pattern: str) -> str:
    """Give the expression of a pattern; a label stands for one and the same text throughout."""
    seen: set[str] = set()
    parts = []
    for token in re.split(r"(\{[^{}]*\}|\*\*/?|\*|\?|\[[^\]]*\])", pattern):
        if label := LABEL.fullmatch(token):
            parts.append(f"(?P={label[1]})" if label[1] in seen else f"(?P<{label[1]}>[^/]+?)")
            seen.add(label[1])
        elif token.startswith("**"):
            parts.append(".*")
        elif token.startswith("["):
            inner = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"[{f'^{inner[1:]}' if inner.startswith('!') else inner}]")
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(token, re.escape(token)))
    return "".join(parts)


def _by_manifest(text: str) -> list[Job]:
    path = Path(text)
    if path.suffix.lower() not in MANIFESTS:
        message = "neither a manifest nor a pattern"
        hint = (
            f"a manifest ends in {', '.join(MANIFESTS)}; a pattern has {{labels}} or *; "
            f"`lossctl eval` measures a single file"
        )
        raise UsageError(message, hint=hint, place=Place(text))
    try:
        entries = list(_entries(path))
    except OSError as error:
        raise InputError(error.strerror or str(error), place=Place(text)) from error
    except RecursionError as error:
        message = "not a readable manifest (it is nested too deeply)"
        raise InputError(message, place=Place(text)) from error
    except (ValueError, csv.Error) as error:
        raise InputError(f"not a readable manifest ({error})", place=Place(text)) from error
    wrong = Gathered()
    jobs = [wrong.of(_job, entry, number, path) for number, entry in enumerate(entries, start=1)]
    wrong.settle()
    labels = {tuple(job.labels) for job in jobs}
    if len(labels) > 1:
        raise UsageError("the jobs differ in their labels", place=Place(text))
    return jobs


def _entries(path: Path) -> Iterator[Any]:
    if path.suffix.lower() in (".csv", ".tsv"):
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, delimiter=delimiter, strict=True)
            _check_header(table.fieldnames, path)
            yield from table
        return
    text = path.read_text(encoding="utf-8-sig")
    document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    found = document.get("jobs") if isinstance(document, dict) else document
    if not isinstance(found, list):
        raise ValueError("it holds no list of jobs")  # noqa: TRY004 - of the user's file
    yield from found


def _check_header(names: Sequence[str] | None, path: Path) -> None:
    """Refuse a table of rows that is given in place of one of jobs, before it is read.

    Raises
    ------
    UsageError
        It names no files of predictions, or something twice.

    """
    if names is None:  # of an empty file
        return
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        message = f"the header names {', '.join(map(repr, repeated))} more than once"
        raise UsageError(message, place=Place(str(path)))
    if PREDICTIONS not in names:
        more = " and more" if len(names) > SHOWN else ""
        shown = ", ".join(names[:SHOWN] or ["an empty line"]) + more
        raise UsageError(
            f"a data file rather than a manifest: it has no column {PREDICTIONS!r}, only {shown}",
            hint="a pattern such as 'preds/*.csv' finds data files, `lossctl eval` measures one",
            place=Place(str(path)),
        )


def _job(entry: Any, number: int, manifest: Path) -> Job:
    """Read one entry; its files lie relative to the manifest."""
    place = Place(str(manifest), number)
    if not isinstance(entry, Mapping) or not entry.get(PREDICTIONS):
        known = ", ".join(map(str, entry)) if isinstance(entry, Mapping) else repr(entry)
        raise UsageError(f"a job without {PREDICTIONS!r}", hint=f"it has {known}", place=place)
    if None in entry:  # where the table puts cells beyond the header
        named = len(entry) - 1
        message = f"the row has {named + len(entry[None])} fields, the header {named}"
        hint = "a field that holds the separator must stand in quotes"
        raise UsageError(message, hint=hint, place=place)
    files = {name: _file(name, entry.get(name), place) for name in (PREDICTIONS, TARGETS)}
    predictions, targets = (file and _beside(manifest, file) for file in files.values())
    labels = {
        name: _label(name, value, place) for name, value in entry.items() if name not in files
    }
    return Job(str(predictions), targets, labels or {"file": str(predictions)})


def _file(name: str, value: Any, place: Place) -> str | None:
    """Read the name of a file; an empty one is none.

    Raises
    ------
    UsageError
        It is something else.

    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise UsageError(f"{name} is {value!r}, not the path of a file", place=place)
    return value


def _label(name: str, value: Any, place: Place) -> str:
    """Write a value of a label as text.

    Raises
    ------
    UsageError
        It is no single value, or its label has no name.

    """
    if not name:
        raise UsageError("a label has an empty name", place=place)
    if isinstance(value, dict | list | None):
        raise UsageError(f"the label {name!r} is no single value", place=place)
    if isinstance(value, date | time):
        return value.isoformat()
    return value if isinstance(value, str) else json.dumps(value)


def _beside(manifest: Path, file: str) -> str:
    return file if "://" in file else str(manifest.parent / file)


def _with_targets(job: Job, pattern: str) -> Job:
    """Fill the labels of a job into the pattern of the targets; a manifest's own go before."""
    unknown = [name for name in LABEL.findall(pattern) if name not in job.labels]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in job.labels)
        raise UsageError(f"--targets: there is no label {unknown[0]!r}", hint=f"labels: {known}")
    filled = LABEL.sub(lambda label: job.labels[label[1]], pattern)
    return job if job.targets is not None else Job(job.predictions, filled, job.labels)


def _check_distinct(what: str, names: Iterable[str], text: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            message = f"two jobs have the same {what}: {name}"
            raise UsageError(message, hint="each needs its own", place=Place(text))
        seen.add(name)


def labels_of(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Give the names of the labels, which all jobs share."""
    return tuple(jobs[0].labels)
