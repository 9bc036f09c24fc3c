"""Specs: the text form of a loss and its parameters, as in ``huber:delta=1.5``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lossctl.errors import SeveralErrors, SpecError, UsageError, close_to, did_you_mean
from lossctl.losses._declare import REGISTRY, Loss


@dataclass(frozen=True)
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
        """The canonical text with every parameter, for signatures."""
        return self._text(self.parameters)

    def _text(self, parameters: Mapping[str, Any]) -> str:
        known = {parameter.name: parameter for parameter in self.loss.parameters}
        shown = ",".join(f"{k}={known[k].show(v)}" for k, v in parameters.items())
        return f"{self.loss.name}:{shown}" if shown else self.loss.name


def find(name: str) -> Loss:
    """Look a loss up by its name or an alias.

    Raises
    ------
    SpecError
        No loss has that name; the hint names close ones.

    """
    names = {alias: loss for loss in REGISTRY.values() for alias in (loss.name, *loss.aliases)}
    if name not in names:
        near = dict.fromkeys(names[word].name for word in close_to(name, names))
        hint = f"did you mean {' or '.join(near)}?" if near else "lossctl losses lists all of them"
        raise SpecError(f"unknown loss {name!r}", hint=hint)
    return names[name]


def parse(texts: list[str]) -> list[Spec]:
    """Read specs from texts that hold one or more of them each, separated by commas.

    ``@regression`` stands for every loss of a family with its default parameters.

    Raises
    ------
    SpecError, SeveralErrors
        For every spec that names no loss, no parameter, or a value outside its range.

    """
    specs: dict[str, Spec] = {}
    errors: list[UsageError] = []
    for text in (part for joined in texts for part in _split(joined)):
        try:
            specs |= {spec.full: spec for spec in _parse_one(text)}
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


def _parse_one(text: str) -> list[Spec]:
    if text.startswith("@"):
        members = [loss for loss in REGISTRY.values() if loss.family == text[1:]]
        if not members:
            families = sorted({loss.family for loss in REGISTRY.values()})
            raise SpecError(
                f"unknown family {text!r}",
                hint=did_you_mean(text[1:], families) or f"families: {', '.join(families)}",
            )
        return [Spec(loss, loss.defaults()) for loss in members]
    name, _, rest = text.partition(":")
    loss = find(name)
    given = dict(_parse_parameter(loss, item) for item in rest.split(",") if item)
    return [Spec(loss, loss.check_parameters(given))]


def _parse_parameter(loss: Loss, item: str) -> tuple[str, Any]:
    name, equals, value = item.partition("=")
    known = {parameter.name: parameter for parameter in loss.parameters}
    if name not in known:
        raise SpecError(
            f"{loss.name} has no parameter {name!r}",
            hint=did_you_mean(name, known) or f"its parameters: {', '.join(known) or 'none'}",
        )
    try:
        return name, known[name].parse(value if equals else "")
    except (ValueError, TypeError):
        raise SpecError(
            f"{loss.name}: {name} must be {known[name].range}, not {value!r}",
            hint=f"as in {loss.name}:{name}={known[name].show(known[name].default)}",
        ) from None
