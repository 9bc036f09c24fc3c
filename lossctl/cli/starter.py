"""A first config file, from a look at the files that it is for."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.cli.eval import evaluate_files
from lossctl.cli.inputs import AS_NAMED, Inputs
from lossctl.cli.output import write_whole
from lossctl.cli.planning import ask, plan_files
from lossctl.cli.stderr import note
from lossctl.errors import Exit, Gathered, LossctlError, Place, UsageError

if TYPE_CHECKING:
    from lossctl.report import Report
    from lossctl.results import Result

GUESSES = (("cross_entropy",), ("bce",), ("rmse", "mae"))
"""Losses to begin with: the first that the columns are fit for."""
NAMES = {"key": "keys"}
"""Options of the command whose name in a plan is another one."""
UNTOLD = ("quiet", "color", "debug", "no_progress", "jobs", "chunk_rows")
"""Options that change no number and are left out of the file."""
SLACK = 1.05
"""How far beyond the interval a first limit lies."""

TEXT = """\
# Limits for the model whose predictions are named here: `lossctl gate` holds them.
# Every option of `lossctl eval` may stand here by its long name, with _ for -.
# Paths are relative to this file.

{inputs}
losses = {losses}
# by = ["COLUMN"]                    # slices, for checks of them
# key = ["id"]                       # pair rows by key rather than by position
# baseline = "baseline.json"         # an earlier report, for max_increase
# inconclusive = "undecided"         # or "pass" or "fail": what a straddled limit counts as
# report = ["junit=gate.xml", "md=gate.md"]

# Fewer rows than this say nothing: exit 3.
[[check]]
min_rows = {rows}
{checks}
# [[check]]
# loss = "{loss}"
# slice = "all"                      # every slice of `by`; or {{ COLUMN = "value" }}
# max_relative_increase = "1%"       # against the baseline
# decide = "interval"                # or "point": whether uncertainty counts
"""
CHECK = """
# {loss} is {value:.6g} now{interval}.
[[check]]
loss = "{loss}"
max = {limit}
"""


def write_starter(
    path: str | None, predictions: str | None, targets: str | None, options: Mapping[str, Any]
) -> int:
    """Write a config that passes now and says what else there is.

    Raises
    ------
    UsageError
        No predictions are named, or the file is there already.
    LossctlError
        The files cannot be measured by any loss.

    """
    target = Path(path or "lossctl.toml")
    if predictions is None:
        raise UsageError("--init looks at files", hint="--predictions FILE names the first")
    if target.exists():
        message = "is there already and is not written over"
        raise UsageError(message, place=Place(str(target)))
    files = [file for file in (predictions, targets) if file is not None]
    told = {
        name: options[name]
        for name, default in asdict(AS_NAMED).items()
        if name != "quiet" and options.get(name, default) != default
    }
    asked = _asked(options, without=(*told, "losses"))
    report = _look(files, options.get("losses"), {**asked, "inputs": Inputs(**told)})
    whole = [result for result in report.results if not result.slice]
    named = {"predictions": predictions} | ({} if targets is None else {"targets": targets})
    inputs = [f"{key} = {_text(_from(target, file))}" for key, file in named.items()]
    # JSON and TOML write texts, truths, numbers and lists alike.
    inputs += [f"{name} = {_text(value)}" for name, value in (asked | told).items()]
    write_whole(
        target,
        TEXT.format(
            inputs="\n".join(inputs),
            losses=json.dumps([result.loss for result in whole]),
            rows=max(1, report.rows.scored // 2),
            checks="".join(map(_check, whole)),
            loss=whole[0].loss,
        ),
    )
    note(f"wrote {target}; `lossctl gate {target}` holds its limits")
    return Exit.DONE


def _asked(options: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    """Give the options that say what is measured, as the file will; refuse all others.

    Raises
    ------
    UsageError
        An option was given that a look at the files has no use for.

    """
    measured = inspect.signature(ask).parameters
    given = {
        name: value
        for name, parameter in inspect.signature(evaluate_files).parameters.items()
        if (value := options.get(name)) not in (None, [], (), parameter.default)
        and name not in (*without, *UNTOLD)
    }
    if odd := [name for name in given if NAMES.get(name, name) not in measured]:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in odd)
        hint = "write it into the file that --init makes"
        raise UsageError(f"--init does not look at {flags}", hint=hint)
    return given


def _look(files: list[str], losses: list[str] | None, options: Mapping[str, Any]) -> Report:
    """Measure the files by the first losses that they are fit for."""
    from lossctl.evaluate import evaluate

    named = {NAMES.get(name, name): value for name, value in options.items()}
    last: LossctlError | None = None
    for guess in [losses] if losses else GUESSES:
        try:
            return evaluate(plan_files(Gathered(), files, list(guess), **{"ci": "0.95"} | named))
        except LossctlError as error:
            last = error
    raise last or UsageError("no loss fits")


def _check(result: Result) -> str:
    if result.value is None:
        return ""
    upper = result.value if result.ci is None else result.ci.upper
    ci = result.ci
    interval = "" if ci is None else f", its interval {ci.lower:.6g} to {ci.upper:.6g}"
    limit = f"{upper * SLACK if upper > 0 else upper + abs(upper) * (SLACK - 1):.3g}"
    # Three digits may round below the interval that the limit is to lie beyond.
    limit = limit if float(limit) > upper else f"{upper * SLACK + abs(upper) * 0.01:.3g}"
    return CHECK.format(loss=result.loss, value=result.value, interval=interval, limit=limit)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _from(target: Path, file: str) -> str:
    """Give a path as one relative to where the config file lies."""
    if file == "-" or "://" in file or Path(file).is_absolute():
        return file
    return Path(os.path.relpath(file, target.parent)).as_posix()
