"""Records: frozen dataclasses that share their methods.

`dataclasses.dataclass` writes and compiles half a dozen methods for every class. On Python 3.11
that is most of a millisecond each, and for all the classes of the package together it was a fifth
of the time in which a small file is measured. Here only the fields are read; the methods below
find them in the class, so that `dataclasses.replace`, `fields` and `asdict` work as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from inspect import Signature

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class what ``dataclass(frozen=True)`` makes of it."""
    for name in METHODS:
        if name not in cls.__dict__:
            setattr(cls, name, getattr(_Record, name))
    made = dataclass(init=False, repr=False, eq=False)(cls)
    fields = made.__dataclass_fields__.values()  # type: ignore[attr-defined]
    made.__compared__ = _getter(each.name for each in fields if each.compare)  # type: ignore[attr-defined]
    made.__hashed__ = _getter(  # type: ignore[attr-defined]
        each.name for each in fields if (each.compare if each.hash is None else each.hash)
    )
    made.__signature__ = _Signature()  # type: ignore[attr-defined]
    return made


class _Signature:
    """Gives the signature by the fields to whoever inspects a record, such as ``help``."""

    def __get__(self, made: object, cls: type) -> Signature:
        from inspect import Parameter, Signature

        parameters = []
        for each in cls.__dataclass_fields__.values():  # type: ignore[attr-defined]
            kind = Parameter.KEYWORD_ONLY if each.kw_only else Parameter.POSITIONAL_OR_KEYWORD
            default = each.default
            if default is MISSING:
                factory = each.default_factory
                default = Parameter.empty if factory is MISSING else factory
            parameters.append(Parameter(each.name, kind, default=default, annotation=each.type))
        return Signature(sorted(parameters, key=lambda parameter: parameter.kind))


def _getter(names: Iterable[str]) -> Callable[[Any], Any]:
    """Make a function that gives some fields of a record."""
    return attrgetter(*found) if (found := list(names)) else type


class _Record:
    """The methods of every record."""

    __dataclass_fields__: dict[str, Field[Any]]
    __match_args__: tuple[str, ...]
    __compared__: ClassVar[attrgetter[Any]]
    __hashed__: ClassVar[attrgetter[Any]]

    def __init__(self, /, *arguments: Any, **named: Any) -> None:
        fields, places = self.__dataclass_fields__, self.__match_args__
        if not named and len(arguments) == len(fields) == len(places):
            self.__dict__.update(zip(places, arguments, strict=True))
            return
        given = dict(zip(places, arguments, strict=False))
        if len(arguments) > len(places) or given.keys() & named or named.keys() - fields:
            raise _mismatch(self, arguments, named)
        given |= named
        values = self.__dict__
        for name, each in fields.items():
            if name in given:
                values[name] = given[name]
            elif each.default is not MISSING:
                values[name] = each.default
            elif each.default_factory is not MISSING:
                values[name] = each.default_factory()
            else:
                raise _mismatch(self, arguments, named)

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        compared = self.__compared__
        return bool(compared(self) == compared(other))

    def __hash__(self) -> int:
        return hash(self.__hashed__(self))

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign {value!r} to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


METHODS = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")


def _mismatch(made: _Record, arguments: tuple[Any, ...], named: dict[str, Any]) -> TypeError:
    """Say which fields there are, and what was given."""
    wanted = ", ".join(made.__dataclass_fields__)
    given = ", ".join([f"{len(arguments)} by place", *(f"{name}=" for name in named)])
    return TypeError(f"{type(made).__name__}({wanted}) was given {given}")
