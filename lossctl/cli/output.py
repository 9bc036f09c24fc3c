"""Where results go: one document on stdout or in a file, and further reports beside it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lossctl.cli.stderr import note
from lossctl.errors import OutputError, Place, UsageError
from lossctl.formats import FORMATS, Style, render
from lossctl.report import Report


@dataclass(frozen=True)
class Outputs:
    """The document that was asked for and the further reports, checked before any row is read."""

    format: str
    path: str | None
    reports: tuple[tuple[str, str], ...]
    color: bool

    @classmethod
    def plan(
        cls,
        format: str,
        path: str | None,
        reports: Sequence[str] | None,
        *,
        color: str,
    ) -> Outputs:
        """Check formats and that every file can be written.

        Raises
        ------
        UsageError
            A format is unknown.
        OutputError
            A file cannot be written.

        """
        pairs = []
        for text in reports or ():
            name, equals, target = text.partition("=")
            if not (equals and target):
                raise UsageError(f"--report takes FMT=FILE, not {text!r}", hint="md=report.md")
            pairs.append((name, target))
        for name in (format, *(name for name, _ in pairs)):
            if name not in FORMATS:
                raise UsageError(f"unknown format {name!r}", hint=f"one of {', '.join(FORMATS)}")
        if color not in ("auto", "always", "never"):
            raise UsageError(f"--color takes auto | always | never, not {color!r}")
        for wanted in (path, *(target for _, target in pairs)):
            if wanted is not None:
                _check_writable(Path(wanted))
        colored = color == "always" or (
            color == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        )
        return cls(format, path, tuple(pairs), colored)

    def write(self, report: Report, *, quiet: bool) -> None:
        """Write the further reports, then the document, then notes on stderr.

        Raises
        ------
        OutputError
            A file could not be written; none is left half-written.

        """
        for name, target in self.reports:
            write_whole(Path(target), render(report, name, Style()))
        if self.path is not None:
            write_whole(Path(self.path), render(report, self.format, Style()))
        else:
            terminal = sys.stdout.isatty()
            width = os.get_terminal_size().columns if terminal else None
            sys.stdout.write(render(report, self.format, Style(width, self.color)))
        if not quiet:
            for warning in report.warnings:
                note(f"warning: {warning}")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OutputError
        It could not be written; what stood there before still does.

    """
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            encoding="utf-8",
            newline="",
            dir=path.parent,
            prefix=f".{path.name}.",
            delete=False,
        ) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                umask = os.umask(0)
                os.umask(umask)
                Path(file.name).chmod(0o666 & ~umask)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(error.strerror or str(error), place=Place(str(path))) from error


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise OutputError("is a directory", place=Place(str(path)))
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}", place=Place(str(path)))
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} is not writable", place=Place(str(path)))
