"""What goes to stderr: errors, in text or as JSON, and notes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence

from lossctl.errors import LossctlError, SeveralErrors

JSON_FORMATS = ("json", "jsonl")


def note(text: str) -> None:
    """Write a line beside the result."""
    sys.stderr.write(f"{text}\n")


def show_error(error: LossctlError, arguments: Sequence[str]) -> None:
    """Write an error: what, where, what to try; as one JSON object when JSON was asked for."""
    if "--debug" in arguments:
        traceback.print_exception(error)
    if _wants_json(arguments):
        note(json.dumps(error.as_json(), ensure_ascii=False))
        return
    for single in error.errors if isinstance(error, SeveralErrors) else [error]:
        where = f"{single.place}: " if str(single.place) else ""
        note(f"error: {where}{single.message}")
        if single.hint:
            note(f"hint: {single.hint}")


def show_bug(error: Exception, arguments: Sequence[str]) -> None:
    """Own up to a bug in one line."""
    if "--debug" in arguments:
        traceback.print_exception(error)
    note(f"error: this is a bug in lossctl: {type(error).__name__}: {error}")
    note("hint: run again with --debug and report the traceback")


def _wants_json(arguments: Sequence[str]) -> bool:
    """Tell whether JSON is asked for, even where the arguments do not parse."""
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option in ("-f", "--format", "--json"):
            return option == "--json" or value in JSON_FORMATS
        if option.startswith("--format=") or (option.startswith("-f") and option != "-f"):
            return option.removeprefix("--format=").removeprefix("-f") in JSON_FORMATS
    return os.environ.get("LOSSCTL_FORMAT", "") in JSON_FORMATS
