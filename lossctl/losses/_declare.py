"""The declaration of a loss: ``@loss`` reads everything from the signature of one function.

Positional parameters are roles, keyword-only parameters are the loss's parameters; see
`Loss` for what follows from them. Declaring a loss makes it known to nobody: those of the families
are registered under their name and aliases when they are imported.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, overload

import numpy as np

from lossctl.errors import DomainError, SpecError
from lossctl.losses._calling import check_lengths, columns_of, widths
from lossctl.losses._domains import FINITE, Array, Domain, Interval, Sizes
from lossctl.losses._finish import MEAN, Finish
from lossctl.record import record

Direction = Literal["lower_is_better", "zero_is_best"]
Kernel = Callable[..., Array]
Gradient = Callable[..., "Array | tuple[Array, ...]"]


@record
class Role:
    """One positional parameter of a loss: the columns it reads and their domain."""

    name: str
    domain: Domain
    default: float | None = None
    """The value that stands in every row when no column is bound; None when one must be."""


@record
class Parameter:
    """One keyword-only parameter of a loss."""

    name: str
    text: str
    default: Any
    kind: type
    choices: tuple[Any, ...] = ()
    interval: Interval | None = None
    optional: bool = False
    """Whether ``none`` is allowed."""

    @property
    def range(self) -> str:
        """The allowed values in words, as in ``float in (0, inf)``."""
        if self.choices:
            text = " | ".join(self.show(choice) for choice in self.choices)
        elif self.kind is bool:
            text = "true | false"
        else:
            text = f"{self.kind.__name__} in {self.interval}"
        return f"{text} | none" if self.optional else text

    def parse(self, text: str) -> Any:
        """Read the value from a spec's text.

        Raises
        ------
        ValueError
            The text is no value of this parameter.

        """
        if self.optional and text.lower() == "none":
            return None
        if self.kind is bool:
            return self.check({"true": True, "false": False}.get(text.lower()))
        return self.check(self.kind(text))

    def check(self, value: Any) -> Any:
        """Give the value back when it is allowed.

        Raises
        ------
        ValueError
            The value is outside the parameter's range.

        """
        if value is None and self.optional:
            return value
        allowed = (
            value in self.choices
            if self.choices
            else isinstance(value, bool)
            if self.kind is bool
            else self.interval is not None and value in self.interval
        )
        if not allowed:
            raise ValueError(value)
        return value

    @staticmethod
    def show(value: Any) -> str:
        """Write a value as a spec does."""
        if value is None or isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            short = f"{value:g}"
            return short if float(short) == value else repr(value)
        return str(value)


@dataclass(eq=False)
class Loss:
    """A loss: a pure function from named columns to a few numbers per row, and what is known of it.

    Called as a function it takes arrays by position or role name, checks their domains and gives
    the loss of each row, shape ``(rows,)``; its ``mean()`` is the value in floating point, for
    losses that are plain means. The raw function is `kernel`, which checks nothing; so is
    `gradient`, the derivative of each row's loss by the roles of `with_respect_to`.
    """

    name: str
    family: str
    kernel: Kernel
    roles: tuple[Role, ...]
    parameters: tuple[Parameter, ...]
    formula: str
    reference: str
    sample: str
    """The files of ``sample_data`` and the options that show this loss at work."""
    aliases: tuple[str, ...] = ()
    equivalents: Mapping[str, str] = field(default_factory=dict)
    """Library name to the name of the same loss there, with its differing convention if any."""
    direction: Direction = "lower_is_better"
    symmetric: bool = False
    """Whether swapping the first two roles leaves every row's loss unchanged."""
    finish: Finish = MEAN
    populations: tuple[str, ...] = ()
    """Names of the two samples that may come as two files of different length."""
    gradient: Gradient | None = None
    with_respect_to: tuple[str, ...] = ()
    curvature: Gradient | None = None
    """The second derivative by each single value of the first role of `with_respect_to`."""
    origin: str = ""
    """What tells the code of a loss that is not built in: a digest, or a package and version."""

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return self.description.split("\n\n", maxsplit=1)[0].replace("\n", " ")

    @property
    def description(self) -> str:
        """The docstring without its indentation."""
        return inspect.cleandoc(self.kernel.__doc__ or "")

    @property
    def clipped(self) -> str | None:
        """Name of the parameter that clips probabilities, if the loss has one."""
        if not any(role.name == "prediction" for role in self.roles):
            return None
        return next(
            (p.name for p in self.parameters if p.name == "eps" and p.interval == CLIP), None
        )

    def defaults(self) -> dict[str, Any]:
        """Give every parameter's default."""
        return {parameter.name: parameter.default for parameter in self.parameters}

    def __call__(self, *columns: Any, **named: Any) -> Array:
        """Check the columns and give each row's loss, shape ``(rows,)``.

        Raises
        ------
        DomainError
            A value is outside the domain of its role, or a column has the wrong shape.
        SpecError
            A parameter is unknown or outside its range.

        """
        names = [role.name for role in self.roles]
        given = {name: named.pop(name) for name in names if name in named}
        values = columns_of(self, columns, given)
        parameters = self.check_parameters(named)
        sizes = widths(self, values)
        with np.errstate(all="ignore"):  # an infinite loss is a result, not an accident
            self._check_domains(values, parameters, sizes)
            return self.finish.row(self.kernel(**values, **parameters))

    def _check_domains(
        self, values: Mapping[str, Any], parameters: Mapping[str, Any], sizes: Sizes
    ) -> None:
        for role in (role for role in self.roles if role.name in values):
            column = values[role.name]
            bad = role.domain.violations(column, parameters, sizes)
            if bad is not None:
                row = int(np.flatnonzero(bad)[0])
                message = f"{self.name}: {role.name} must hold {role.domain.text} (row {row})"
                raise DomainError(message)
            if fault := role.domain.contradiction(role.domain.labels_seen(column)):
                raise DomainError(f"{self.name}: {fault}")
        check_lengths(self, values)

    def check_parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Complete the given parameters with the defaults.

        Raises
        ------
        SpecError
            A parameter is unknown or outside its range.

        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name, value in given.items():
            if name not in known:
                message = f"{self.name} has no parameter {name!r}"
                raise SpecError(message, hint=f"its parameters: {', '.join(known) or 'none'}")
            try:
                known[name].check(value)
            except (ValueError, TypeError):
                message = f"{self.name}: {name} must be {known[name].range}, not {value!r}"
                raise SpecError(message) from None
        return self.defaults() | dict(given)


CLIP = Interval(0.0, 0.5, open_high=True)
"""The range of every ``eps`` that clips a probability from below before its logarithm."""

REGISTRY: dict[str, Loss] = {}
"""Every declared loss by its name."""


@overload
def loss(kernel: Kernel, /) -> Loss: ...


@overload
def loss(
    *,
    formula: str = "",
    reference: str = "",
    sample: str = "",
    aliases: tuple[str, ...] = (),
    equivalents: Mapping[str, str] | None = None,
    direction: Direction = "lower_is_better",
    symmetric: bool = False,
    finish: Finish = MEAN,
    populations: tuple[str, ...] = (),
) -> Callable[[Kernel], Loss]: ...


def loss(kernel: Kernel | None = None, /, **facts: Any) -> Loss | Callable[[Kernel], Loss]:
    """Declare the decorated function as a loss; its family is the name of its module.

    Raises
    ------
    TypeError
        The signature does not say what it must: a domain for every role, a range for every
        parameter.

    """

    def declare(kernel: Kernel) -> Loss:
        roles, parameters = _read_signature(kernel)
        known = {"formula": "", "reference": "", "sample": ""} | facts
        return Loss(
            name=kernel.__name__,
            family=kernel.__module__.rpartition(".")[2],
            kernel=kernel,
            roles=roles,
            parameters=parameters,
            **known | {"equivalents": dict(facts.get("equivalents") or {})},
        )

    return declare if kernel is None else declare(kernel)


def register(declared: Loss) -> Loss:
    """Make a loss known by its name and aliases.

    Raises
    ------
    ValueError
        Another loss has one of them.

    """
    others = [other for other in REGISTRY.values() if other is not declared]
    taken = {name for other in others for name in (other.name, *other.aliases)}
    if clash := taken.intersection((declared.name, *declared.aliases)):
        message = f"the name {clash.pop()!r} of a loss is taken"
        raise ValueError(message)
    REGISTRY[declared.name] = declared
    return declared


def gradient(of: Loss, *, wrt: tuple[str, ...] = ()) -> Callable[[Gradient], Gradient]:
    """Declare the derivative of a row's loss with respect to one or more roles.

    The decorated function takes what the kernel takes and gives one array per role of ``wrt``,
    each in the shape of that role; without ``wrt`` the single array belongs to the first role.
    """

    def declare(function: Gradient) -> Gradient:
        of.gradient = function
        of.with_respect_to = wrt or (of.roles[0].name,)
        return function

    return declare


def curvature(of: Loss) -> Callable[[Gradient], Gradient]:
    """Declare the second derivative of a row's loss by each value of the role of its gradient.

    The decorated function takes what the kernel takes and gives an array in the shape of the
    role; of a vector role, the diagonal of the matrix of second derivatives.
    """

    def declare(function: Gradient) -> Gradient:
        of.curvature = function
        return function

    return declare


def _read_signature(kernel: Kernel) -> tuple[tuple[Role, ...], tuple[Parameter, ...]]:
    hints = typing.get_type_hints(kernel, include_extras=True)
    roles, parameters = [], []
    for name, argument in inspect.signature(kernel).parameters.items():
        base, extras = hints.get(name), []
        if typing.get_origin(base) is Annotated:
            base, *extras = typing.get_args(base)
        if argument.kind is argument.KEYWORD_ONLY:
            parameters.append(_read_parameter(name, base, extras, argument.default))
            continue
        domain = next((extra for extra in extras if isinstance(extra, Domain)), None)
        if domain is None or argument.kind is not argument.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"the role {name!r} needs a domain, as in {name}: Real")
        default = None if argument.default is argument.empty else float(argument.default)
        roles.append(Role(name, domain, default))
    if not roles:
        raise TypeError("a loss needs a role, as in prediction: Real")
    return tuple(roles), tuple(parameters)


def _read_parameter(name: str, base: Any, extras: list[Any], default: Any) -> Parameter:
    optional = typing.get_origin(base) in (types.UnionType, typing.Union)
    if optional:
        base = next(arg for arg in typing.get_args(base) if arg is not type(None))
    choices = typing.get_args(base) if typing.get_origin(base) is Literal else ()
    kind = type(choices[0]) if choices else base
    if kind not in (float, int, bool) and not choices:
        raise TypeError(f"the parameter {name!r} must be a float, int, bool or Literal of choices")
    anything = None if choices or kind is bool else FINITE
    parameter = Parameter(
        name=name,
        text=next((extra for extra in extras if isinstance(extra, str)), ""),
        default=default,
        kind=kind,
        choices=choices,
        interval=next((extra for extra in extras if isinstance(extra, Interval)), anything),
        optional=optional,
    )
    try:
        parameter.check(default)
    except (ValueError, TypeError):
        message = f"the parameter {name!r} needs a default that is {parameter.range}"
        raise TypeError(message) from None
    return parameter
