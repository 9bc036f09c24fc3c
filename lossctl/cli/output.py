"""Where results go: one document on stdout or in a file, and further reports beside it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lossctl.cli.stderr import note
from lossctl.cli.values import one_of
from lossctl.comparison import Comparison
from lossctl.errors import Gathered, OutputError, Place, UsageError
from lossctl.formats import CHECK_FORMATS, FORMATS, REPORT_FORMATS, Document, Style, render
from lossctl.record import record
from lossctl.report import Report
from lossctl.whole import whole_file

When = Literal["auto", "always", "never"]
SUMMARY_BYTES = 1_000_000
"""A little less than the runner takes of a step."""


@record
class Outputs:
    """The document that was asked for and the further reports, checked before any row is read."""

    format: str
    path: str | None
    """None for stdout."""
    reports: tuple[tuple[str, str | None], ...]
    """Formats and files; GitHub's has none where it goes to the runner."""
    color: bool

    @classmethod
    def plan(
        cls,
        format: str,
        path: str | None,
        reports: Sequence[str] | None,
        *,
        color: str,
        others: Sequence[str | None] = (),
        gated: bool | None = None,
    ) -> Outputs:
        """Check formats and that every file can be written; none may be one of ``others``.

        ``gated`` says whether limits are given, where that is possible at all.

        Raises
        ------
        UsageError
            A format is unknown, or a file would be written over another one of the command.
        OutputError
            A file cannot be written.

        """
        wrong = Gathered()
        with wrong:
            _check_format(format, gated=gated)
        with wrong:
            one_of("--color", color, When)
        path = None if path == "-" else path
        pairs = []
        for text in reports or ():
            with wrong:
                pairs.append(_read_report(text, gated=gated))
        taken = [other for other in others if other is not None]
        for wanted in filter(None, [path, *(target for _, target in pairs)]):
            with wrong:
                check_free(Path(wanted), taken)
                check_writable(Path(wanted))
            taken.append(wanted)
        wrong.settle()
        return cls(format, path, tuple(pairs), _colored(color))

    def write(self, report: Document, *, quiet: bool, worst: bool = False) -> None:
        """Write the further reports, then the document, then notes on stderr.

        With ``worst`` they show the worst rows instead of the results.

        Raises
        ------
        OutputError
            A file could not be written; none is left half-written.
        LossctlError
            A format cannot show the report; nothing is written.

        """
        style = Style(color=self.color and self.path is None, worst=worst)
        document = render(report, self.format, style)
        self.write_reports(report, worst=worst)
        if self.path is not None:
            write_whole(Path(self.path), document)
        elif sys.stdout is None:
            raise OutputError("stdout is closed", hint="-o FILE writes the result to a file")
        else:
            sys.stdout.write(document)
        if not quiet:
            if self.format == "table":
                from lossctl.formats.cells import left_out

                for line in (*_columns(report), *left_out(report)):
                    note(line)
                if isinstance(report, Report) and report.fingerprint is not None:
                    note(f"fingerprint: {report.fingerprint}")
            for warning in report.warnings:
                note(f"warning: {warning}")

    def write_reports(self, report: Document, *, worst: bool = False) -> None:
        """Write the further reports alone, with ``worst`` as for `write`.

        Raises
        ------
        OutputError
            A file could not be written; none is left half-written.
        LossctlError
            A format cannot show the report; nothing is written.

        """
        style = Style(worst=worst)
        further = [(target, render(report, name, style)) for name, target in self.reports]
        for target, text in further:
            if target is None:
                _tell_runner(text, report)
            else:
                write_whole(Path(target), text)


def _columns(report: Document) -> Iterator[str]:
    """Say which columns were read, losses that read the same ones in one line."""
    if isinstance(report, Comparison):
        for model, losses in report.columns.items():
            for line in _columns_of(losses):
                yield f"{model}: {line}"
        return
    yield from _columns_of(report.columns)


def _columns_of(losses: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for loss, roles in losses.items():
        chosen = "; ".join(
            f"{role}: {columns if isinstance(columns, str) else ', '.join(columns)}"
            for role, columns in roles.items()
        )
        alike.setdefault(chosen, []).append(loss)
    for chosen, names in alike.items():
        yield f"columns of {', '.join(names)}: {chosen}"


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all; a pipe or a device just takes what comes.

    Raises
    ------
    OutputError
        It could not be written; what stood there before still does.

    """
    data = text.encode("utf-8", "backslashreplace")
    try:
        if _is_special(path):
            path.write_bytes(data)
        else:
            with whole_file(path) as file:
                file.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error), place=Place(str(path))) from error


def check_writable(path: Path) -> None:
    """Refuse a path that cannot be written, before any work is done for it.

    Raises
    ------
    OutputError
        It cannot.

    """
    if path.is_dir():
        raise OutputError("is a directory, not a file", place=Place(str(path)))
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}", place=Place(str(path)))
    try:
        if not _is_special(path):
            tempfile.TemporaryFile(dir=path.resolve().parent).close()
    except OSError as error:
        message = f"the folder cannot be written to ({error.strerror or error})"
        raise OutputError(message, place=Place(str(path))) from error


def _check_format(name: str, *, gated: bool | None) -> None:
    known = FORMATS if gated is None else REPORT_FORMATS
    if name not in known:
        raise UsageError(f"unknown format {name!r}", hint=f"one of {', '.join(known)}")
    if name in CHECK_FORMATS and not gated:
        raise UsageError(f"{name} shows checks, and no limit is given", hint="as in --max mae=0.5")


def _read_report(text: str, *, gated: bool | None) -> tuple[str, str | None]:
    name, equals, target = text.partition("=")
    if name == "github" and not equals:
        _check_format(name, gated=gated)
        return name, None
    if target in ("", "-"):
        hint = "as in --report md=report.md"
        raise UsageError(f"--report takes FMT=FILE, not {text!r}", hint=hint)
    _check_format(name, gated=gated)
    return name, target


def _tell_runner(text: str, report: Document) -> None:
    """Hand annotations to the runner of GitHub Actions, and the tables to the step's summary.

    Raises
    ------
    OutputError
        The summary could not be written.

    """
    for line in text.splitlines():
        note(line)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary:
        return
    table = render(report, "md", Style()).encode("utf-8", "backslashreplace")
    if len(table) > SUMMARY_BYTES:
        table = table[: table.rindex(b"\n", 0, SUMMARY_BYTES)] + b"\n\nand more\n"
    try:
        with Path(summary).open("ab") as file:
            file.write(table)
    except OSError as error:
        raise OutputError(error.strerror or str(error), place=Place(summary)) from error


def check_free(path: Path, taken: Sequence[str]) -> None:
    """Refuse a file that is another one of the command.

    Raises
    ------
    UsageError
        It is.

    """
    for other in map(Path, taken):
        same = other.samefile(path) if other.exists() and path.exists() else other == path
        if same and not _is_special(path):
            raise UsageError(f"{path} is another file of this command already")


def _is_special(path: Path) -> bool:
    """Tell whether something stands there that must not be replaced by a file."""
    return path.exists() and not path.is_file()


def _colored(color: str) -> bool:
    if color == "auto":
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        return on_terminal and not os.environ.get("NO_COLOR")
    return color == "always"
