"""What goes to stderr: errors, in text or as JSON, and notes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence

from typer.exceptions import TyperException

from lossctl.errors import LossctlError, UsageError, singles

JSON_FORMATS = ("json", "jsonl")
FORMAT = re.compile(r"--format(?:=(?P<long>.*))?|-[qhV]*f(?P<short>.*)")
"""The option ``--format`` in all its spellings, with its value if that is in the same word."""


def note(text: str) -> None:
    """Write a line beside the result; where stderr is closed or full, nobody wants to know."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def show_error(error: LossctlError, arguments: Sequence[str]) -> None:
    """Write an error: what, where, what to try; as one JSON object when JSON was asked for."""
    if "--debug" in arguments or os.environ.get("LOSSCTL_DEBUG", "0") not in ("", "0"):
        note("".join(traceback.format_exception(error)).rstrip())
    if _wants_json(arguments):
        note(json.dumps(error.as_json(), ensure_ascii=False))
        return
    for single in singles(error):
        where = f"{single.place}: " if str(single.place) else ""
        note(f"error: {where}{single.message}")
        if single.hint:
            note(f"hint: {single.hint}")


def show_usage_error(error: TyperException, arguments: Sequence[str]) -> None:
    """Write what Typer has found wrong with the command line."""
    context = getattr(error, "ctx", None)
    if not arguments and context is not None:
        note(context.get_help())
        return
    message = error.format_message()
    hint = f"{context.command_path} --help shows the usage" if context is not None else ""
    if "extra argument" in message and sum(map(os.path.isfile, arguments)) > 1:
        hint = f"a pattern such as 'preds/*.csv' stands in quotes, for the shell expands it; {hint}"
    show_error(UsageError(message, hint=hint), arguments)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Tell whether JSON is asked for, even where the arguments do not parse."""
    wanted = os.environ.get("LOSSCTL_FORMAT", "")
    for word, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if word == "--json":
            return True
        if found := FORMAT.fullmatch(word):
            wanted = found["long"] or found["short"] or following
    return wanted in JSON_FORMATS
