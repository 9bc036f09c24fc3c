"""Specs: the text form of a loss and its parameters, as in ``huber:delta=1.5``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from lossctl.errors import Place, SeveralErrors, SpecError, UsageError, close_to, did_you_mean
from lossctl.losses import _files
from lossctl.losses._declare import REGISTRY, Loss
from lossctl.losses._packages import installed
from lossctl.record import record

CODE = "code"
"""Stands among the parameters of a full text and tells code that is not built in."""


@record
class Spec:
    """A loss with every parameter decided."""

    loss: Loss
    parameters: Mapping[str, Any]

    @cached_property
    def label(self) -> str:
        """The canonical text: the name and the parameters that differ from their defaults."""
        defaults = self.loss.defaults()
        return self._text({k: v for k, v in self.parameters.items() if v != defaults[k]})

    @cached_property
    def full(self) -> str:
        """The canonical text with every parameter, and what tells its code, for signatures."""
        code = {CODE: self.loss.origin} if self.loss.origin else {}
        return self._text({**self.parameters, **code})

    def _text(self, parameters: Mapping[str, Any]) -> str:
        known = {parameter.name: parameter for parameter in self.loss.parameters}
        shown = ",".join(
            f"{k}={known[k].show(v) if k in known else v}" for k, v in parameters.items()
        )
        return f"{self.loss.name}:{shown}" if shown else self.loss.name


def find(name: str) -> Loss:
    """Look a loss up: a built-in one, one of a file as in ``my.py:mine``, or one of a package.

    Raises
    ------
    SpecError
        No loss has that name; the hint names close ones.

    """
    names = {alias: loss for loss in REGISTRY.values() for alias in (loss.name, *loss.aliases)}
    if name in names:
        return names[name]
    if named := _files.NAMED.fullmatch(name):
        losses = _of_file(named["file"], named["function"] or "")
        if len(losses) == 1:
            return losses[0]
        hint = f"one of {', '.join(loss.name for loss in losses)}"
        raise SpecError(f"{name} declares several losses", hint=hint)
    others = installed()
    if name in others.losses:
        return others.losses[name]
    names |= others.losses
    hint = _as_call(name, names) or _near(name, names) or "lossctl losses lists all of them"
    raise SpecError(f"unknown loss {name!r}", hint="; ".join([hint, *others.faults]))


def _near(name: str, names: Mapping[str, Loss]) -> str:
    """Give a hint that names close losses and families, or an empty text."""
    families = dict.fromkeys(f"@{loss.family}" for loss in names.values())
    near = close_to(name, [*names, *families])
    near = list(dict.fromkeys(names[word].name if word in names else word for word in near))
    return f"did you mean {' or '.join(near)}?" if near else ""


def _as_call(text: str, names: Mapping[str, Loss]) -> str:
    """Give a hint where a loss is written like a call, as ``huber(delta=2)``; else nothing."""
    called = re.fullmatch(r"\s*(\w+)\s*\((.*)\)?\s*", text)
    if called is None or called[1] not in names:
        return ""
    loss, items = names[called[1]], re.sub(r"[\s)]", "", called[2])
    if items and "=" not in items:
        return f"as in {Spec(loss, loss.defaults()).full}"
    return f"did you mean {loss.name}:{items}?" if items else f"did you mean {loss.name}?"


def parse(texts: Sequence[str], *, known: Sequence[Loss] | None = None) -> list[Spec]:
    """Read specs from texts that hold one or more of them each, separated by commas.

    ``@regression`` stands for every loss of a family with its default parameters, and a file for
    every loss that it declares. ``known`` are the losses of files that may be named; without it
    the files that are named are run.

    Raises
    ------
    SpecError, SeveralErrors
        For every spec that names no loss, no parameter, or a value outside its range.

    """
    specs: dict[str, Spec] = {}
    errors: list[UsageError] = []
    for text in (part for joined in texts for part in _split(joined)):
        try:
            specs |= {spec.full: spec for spec in _parse_one(text, known)}
        except SpecError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SeveralErrors(errors)
    return list(specs.values())


def _split(text: str) -> Iterator[str]:
    """Cut at the commas between specs; a comma before ``name=value`` stays inside its spec."""
    parts: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if parts and "=" in part and ":" not in part.split("=")[0]:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return iter(parts)


def _parse_one(text: str, known: Sequence[Loss] | None) -> list[Spec]:
    if text.startswith("@"):
        return [Spec(loss, loss.defaults()) for loss in _family(text[1:])]
    if named := _files.NAMED.fullmatch(text):
        file, function = named["file"], named["function"] or ""
        items = _items(named["rest"] or "")
        code = items.pop(CODE, None)
        losses = (
            _of_file(file, function) if known is None else [_known(known, file, function, code)]
        )
    else:
        name, _, rest = text.partition(":")
        losses, items = [find(name)], _items(rest)
        code = items.pop(CODE, None) if losses[0].origin else None
    for loss in losses:
        if code not in (None, loss.origin):
            raise SpecError(f"{loss.name}: its code is {loss.origin} now, not {code}")
    return [_spec(loss, items) for loss in losses]


def _family(name: str) -> list[Loss]:
    """Give the losses of a family: a built-in one, or else one of a package."""
    losses = list(REGISTRY.values())
    if not any(loss.family == name for loss in losses):
        losses += dict.fromkeys(installed().losses.values())
    if members := [loss for loss in losses if loss.family == name]:
        return members
    families = sorted({loss.family for loss in losses})
    hint = did_you_mean(name, families) or f"families: {', '.join(families)}"
    raise SpecError(f"unknown family '@{name}'", hint=hint)


def _items(text: str) -> dict[str, str]:
    """Cut parameters apart; one without a value has the empty one."""
    pairs = (item.partition("=") for item in text.split(",") if item)
    return {name: value for name, _, value in pairs}


def _spec(loss: Loss, items: Mapping[str, str]) -> Spec:
    given = dict(_parse_parameter(loss, name, value) for name, value in items.items())
    return Spec(loss, loss.check_parameters(given))


def _of_file(file: str, function: str) -> list[Loss]:
    """Run a file and give one of its losses, or all of them where none is named."""
    losses = _files.load(file)
    if not function:
        return list(dict.fromkeys(losses.values()))
    if function not in losses:
        hint = did_you_mean(function, losses) or f"its losses: {', '.join(losses)}"
        raise SpecError(f"declares no loss {function!r}", hint=hint, place=Place(file))
    return [losses[function]]


def _known(known: Sequence[Loss], file: str, function: str, code: str | None) -> Loss:
    """Find the loss of a file by its code, wherever the file lies now."""
    told = [loss for loss in known if loss.origin and loss.name.rpartition(":")[2] == function]
    for loss in told:
        if loss.origin == code:
            return replace(loss, name=f"{file}:{function}")
    why = "its code has changed" if told else "its file is not named here"
    raise SpecError(f"the loss {file}:{function} is not at hand: {why}")


def _parse_parameter(loss: Loss, name: str, value: str) -> tuple[str, Any]:
    known = {parameter.name: parameter for parameter in loss.parameters}
    if name not in known:
        raise SpecError(
            f"{loss.name} has no parameter {name!r}",
            hint=did_you_mean(name, known) or f"its parameters: {', '.join(known) or 'none'}",
        )
    try:
        return name, known[name].parse(value)
    except (ValueError, TypeError):
        raise SpecError(
            f"{loss.name}: {name} must be {known[name].range}, not {value!r}",
            hint=f"as in {loss.name}:{name}={known[name].show(known[name].default)}",
        ) from None
