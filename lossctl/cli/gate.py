"""``lossctl gate``: a run and its limits from a config file."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, get_args

import typer

from lossctl.cli import options as opt
from lossctl.cli.eval import evaluate_files

LIMITS = ("max", "min", "max_increase", "max_relative_increase", "min_rows", "max_null_rate")
"""Options that are tables in a config file."""
PATHS = ("predictions", "targets", "baseline", "output", "state_out")
NOT_CONFIGURED = ("ctx", "debug", "resume", *LIMITS)


def options_of_eval() -> dict[str, inspect.Parameter]:
    """Give the options of ``lossctl eval``, none of them required."""
    found = inspect.signature(evaluate_files, eval_str=True).parameters
    return {
        name: parameter.replace(
            default=None if parameter.default is parameter.empty else parameter.default,
            kind=parameter.KEYWORD_ONLY,
        )
        for name, parameter in found.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def known_keys() -> dict[str, Any]:
    """Give the keys of a config file and what each holds, from the options of the command line."""
    kinds: dict[str, Any] = {"predictions": "path", "targets": "path"}
    for name, parameter in options_of_eval().items():
        if name not in NOT_CONFIGURED:
            kinds[name] = _kind(name, get_args(parameter.annotation)[0])
    return kinds


def _kind(name: str, hint: Any) -> str:
    inner = {hint, *get_args(hint)}
    if name == "report":
        return "reports"
    if any(getattr(one, "__origin__", None) is list for one in inner):
        return "texts"
    if bool in inner:
        return "switch"
    if int in inner or float in inner:
        return "number"
    return "path" if name in PATHS else "text"


def _load(ctx: typer.Context, path: str | None) -> str | None:
    """Let the config file say what neither a flag nor the environment says."""
    if ctx.resilient_parsing or ctx.params.get("init"):
        return path
    from lossctl.gates.config import find_config, read_config

    found = find_config(path)
    if found is not None:
        ctx.obj = read_config(found, known_keys())
        ctx.default_map = dict(ctx.obj.options)
    return found


Config = Annotated[
    str | None,
    typer.Argument(
        metavar="CONFIG",
        help="TOML file; ./lossctl.toml or [tool.lossctl] of ./pyproject.toml by default.",
        is_eager=True,
        callback=_load,
    ),
]
Predictions = Annotated[
    str | None, opt.option("--predictions", metavar="FILE", help="File with the predictions.")
]
Targets = Annotated[
    str | None, opt.option("--targets", metavar="FILE", help="File with the truth.")
]
Init = Annotated[
    bool,
    opt.option(
        "--init",
        is_eager=True,
        help="Write a commented config from a look at --predictions and --targets.",
    ),
]

SelfTest = Annotated[
    int | None,
    opt.option(
        "--self-test",
        metavar="N",
        min=1,
        help="Instead of judging, say how often the gate fails a model as good as allowed, and "
        "passes one at its limits, in N draws from the rows.",
    ),
]
Seed = Annotated[
    int, opt.option("--seed", metavar="N", min=0, help="For --self-test: other draws.")
]


def run_gate(
    ctx: typer.Context,
    config: Config = None,
    *,
    predictions: Predictions = None,
    targets: Targets = None,
    init: Init = False,
    self_test: SelfTest = None,
    seed: Seed = 0,
    **options: Any,
) -> int:
    """Measure what a config file says and hold it against its limits.

    The file holds `predictions`, `targets`, `losses`, any other option of `lossctl eval` by its
    long name with _ for -, and a [[check]] table for each limit. Flags go before the environment,
    and that before the file. Paths in it are relative to it. Mistakes are told all at once, each
    with its line; `lossctl schema config` prints the JSON Schema for editors.

    \b
    Examples:
      lossctl gate --init --predictions preds.csv --targets truth.csv
      lossctl gate
      lossctl gate --self-test 200
      lossctl gate ci/lossctl.toml --predictions new.parquet --report junit=gate.xml --report github
    """
    from lossctl.errors import UsageError
    from lossctl.gates.config import START

    if init:
        from lossctl.cli.starter import write_starter

        return write_starter(config, predictions, targets, options)
    if ctx.obj is None:
        raise UsageError("there is no lossctl.toml here", hint=START)
    told, ctx.obj = ctx.obj, ctx.obj.checks
    if predictions is None:
        raise UsageError(f"{told.path} names no predictions", hint="as in predictions = 'p.csv'")
    if not told.checks and not any(options[name] for name in LIMITS):
        raise UsageError(f"{told.path} checks nothing", hint="a [[check]] table holds a limit")
    losses = options.pop("losses") or told.losses
    if not losses:
        raise UsageError(f"{told.path} names no losses", hint="as in losses = ['rmse']")
    if self_test is not None:
        ctx.meta["self_test"] = self_test, seed
    return evaluate_files(ctx, predictions, targets, losses=losses, **options)


def _signature() -> inspect.Signature:
    own = [
        parameter
        for parameter in inspect.signature(run_gate, eval_str=True).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    return inspect.Signature([*own, *options_of_eval().values()])


# What eval can be asked for, the gate can be asked for as well: Typer reads it from here.
run_gate.__signature__ = _signature()  # type: ignore[attr-defined]


def config_schema() -> Mapping[str, Any]:
    """Give the JSON Schema of a config file, from the same options and limits."""
    from lossctl.gates.checks import LOSS_KINDS, SHARES

    texts = {"type": "array", "items": {"type": "string"}}
    forms: dict[str, Any] = {
        "text": {"type": ["string", "number", "array"]},
        "texts": {"anyOf": [{"type": "string"}, texts]},
        "number": {"type": "number"},
        "switch": {"type": "boolean"},
        "path": {"type": "string"},
        "reports": {"anyOf": [{"type": "string"}, texts]},
    }
    helps = {name: _help(parameter) for name, parameter in options_of_eval().items()}
    about = {
        "predictions": "File with the predictions, relative to this one.",
        "targets": "File with the truth, relative to this one.",
    }
    properties = {
        name: forms[kind] | {"description": about.get(name) or helps[name]}
        for name, kind in known_keys().items()
    }
    slice_ = {
        "description": "all, or the slice by column and value.",
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            },
        ],
    }
    limit = {"type": ["number", "string"], "description": "A finite number; some in percent."}
    check = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "loss": {"type": "string", "description": "A spec; not needed for the only loss."},
            "slice": slice_,
            "decide": {"enum": ["interval", "point"]},
            "level": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            **dict.fromkeys((*LOSS_KINDS, *SHARES), limit),
            "min_rows": {"type": "integer", "minimum": 1},
            "require_slices": {"type": "array", "minItems": 1, "items": slice_},
        },
        "patternProperties": {r"^max_p(\d{1,2}(\.\d+)?|100)$": limit},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "lossctl.config.1",
        "title": "lossctl config",
        "description": "lossctl.toml, or [tool.lossctl] of pyproject.toml.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **properties,
            "check": {"type": "array", "items": check, "description": "The limits."},
        },
    }


def _help(parameter: inspect.Parameter) -> str:
    (declared,) = (one for one in get_args(parameter.annotation)[1:] if hasattr(one, "help"))
    return str(declared.help)
