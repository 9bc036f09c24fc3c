"""Filters: which rows to keep, written as a small expression over columns.

The text has the syntax of Python's expressions: names of columns, in backticks where they are no
plain words, compared with numbers, texts, ``true`` and ``false``, ``in`` a list of them or
``is null``, joined by ``and``, ``or`` and ``not``. As in SQL, a comparison with a missing value is
neither true nor false, and only rows for which the whole is true are kept.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.binding import Slot, find_columns
from lossctl.data.comparing import Literal, beyond_doubles, check_comparable
from lossctl.data.conditions import Comparison, Condition, IsNull, Joined, Not, Ranges
from lossctl.data.source import How, Source
from lossctl.errors import Gathered, LossctlError, UsageError
from lossctl.record import record

Mask = npt.NDArray[np.bool_]

EXAMPLE = "as in --where \"region == 'eu' and (n >= 10 or `first seen` is null)\""
OPERATORS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
WORDS = {"and", "or", "not", "in", "is"}
CONSTANTS = {"null": "None", "none": "None", "true": "True", "false": "False"}


@record
class Where:
    """A filter bound to the columns of the files."""

    text: str
    condition: Condition
    columns: tuple[tuple[int, str], ...]
    """Number of the source and name of every column it looks at."""
    numbers: frozenset[tuple[int, str]]
    """Those that are compared with numbers alone."""

    @property
    def wanted(self) -> Mapping[tuple[int, str], How]:
        """Every column and how a file without types reads it."""
        return {c: "number" if c in self.numbers else "category" for c in self.columns}

    def matches(self, columns: Mapping[tuple[int, str], pa.Array]) -> Mask:
        """Mark the rows to keep.

        Raises
        ------
        TextError
            A text that is compared with a number is none.

        """
        import pyarrow.compute as pc

        by_name = {name: columns[source, name] for source, name in self.columns}
        found = pc.fill_null(self.condition.evaluate(by_name.__getitem__), False)  # noqa: FBT003
        mask: Mask = found.to_numpy(zero_copy_only=False)
        return mask

    def may_match(self, ranges: Ranges) -> bool:
        """Tell whether any of some rows may be kept, by what a file says of its columns."""
        return self.condition.may_hold(ranges, negated=False)


def bind_where(
    text: str, sources: Sequence[Source], slots: Sequence[Slot], *, in_all: bool
) -> Where:
    """Read a filter and find its columns.

    ``slots`` tells which columns are read as numbers for another reason.

    Raises
    ------
    UsageError, ColumnError, SeveralErrors
        The text is no filter, no file holds a column, or one is compared with what it cannot be.

    """
    condition = parse(text)
    comparisons = list(_comparisons(condition))
    names = dict.fromkeys(name for name, _ in comparisons)
    wrong = Gathered()
    columns: list[tuple[int, str]] = []
    for name in names:
        with wrong:
            columns += find_columns(sources, [name], in_all=in_all, purpose="to filter by")
    wrong.settle()
    numbers = set()
    for column in columns:
        source, name = column
        values = [value for other, found in comparisons if other == name for value in found]
        number = any(
            name in slot.columns and (in_all or slot.source == source)
            for slot in slots
            if slot.kind in ("number", "matrix", "ragged")
        )
        for holder in sources if in_all else [sources[source]]:
            for value in values:
                with wrong:
                    _check_value(holder, name, value, rounded=number)
        plain = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
        if values and all(plain):
            # Read as doubles, neighbours of such a number would be taken for it.
            numbers |= set() if any(map(beyond_doubles, values)) else {column}
        elif any(plain) and sources[source].types[name] is None:
            with wrong:
                message = f"--where compares the column {name!r} with numbers and with texts"
                raise UsageError(message, hint="put all values in quotes, or none")
    wrong.settle()
    return Where(text.strip(), condition, tuple(columns), frozenset(numbers))


def _check_value(source: Source, name: str, value: Literal, *, rounded: bool) -> None:
    """Refuse a value that a column is not compared with.

    ``rounded`` tells that a format without types reads the column as doubles.

    Raises
    ------
    UsageError
        The column is of another kind, or not as exact as the value.

    """
    kind = source.types[name]
    if kind is None and rounded and beyond_doubles(value):
        raise UsageError(
            f"--where: the column {name!r} is read as doubles for a loss or a weight, "
            f"which cannot tell {value} from its neighbours"
        )
    # A column that is read as numbers may spell truths, as 1 and 0 or in words.
    number = rounded and not isinstance(value, bool)
    check_comparable(name, pa.float64() if kind is None and number else kind, value)


def parse(text: str) -> Condition:
    """Read the text of a filter.

    Raises
    ------
    UsageError
        It is not of the form of a filter.

    """
    code, names = _as_python(text)
    try:
        tree = ast.parse(code.strip(), mode="eval")
        return _condition(tree.body, names)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    hint = "== compares, = does not; " if re.search(r"(?<![=<>!])=(?!=)", code) else ""
    raise UsageError(f"--where: cannot read {text!r}", hint=hint + EXAMPLE)


def _as_python(text: str) -> tuple[str, dict[str, str]]:
    """Give the text with words of SQL as Python has them, and names in backticks by stand-ins."""
    names: dict[str, str] = {}

    def replaced(found: re.Match[str]) -> str:
        part = found[0]
        word = part.lower()
        if word in CONSTANTS or word in WORDS:
            return CONSTANTS.get(word, word)
        # Python's own words, such as class, are names like any other here.
        if part.startswith("`") or keyword.iskeyword(part):
            stand_in = f"_column_{len(names)}_"
            names[stand_in] = part[1:-1].replace("``", "`") if part.startswith("`") else part
            return stand_in
        return part

    # Quoted texts are matched first, so that nothing inside them is touched.
    pattern = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:``|[^`])+`|[^\W\d]\w*"
    return re.sub(pattern, replaced, text), names


def _condition(node: ast.expr, names: Mapping[str, str]) -> Condition:
    """Turn a node of the syntax tree into a condition.

    Raises
    ------
    UsageError
        The node is of no kind that a filter has.

    """
    match node:
        case ast.BoolOp(op, parts):
            conditions = tuple(_condition(part, names) for part in parts)
            return Joined(conditions, isinstance(op, ast.And))
        case ast.UnaryOp(ast.Not(), part):
            return Not(_condition(part, names))
        case ast.Name():
            return Comparison(_name(node, names), "==", (True,))
        case ast.Compare(first, operators, others):
            others = [*others[:-1], _listed(node, operators[-1], others[-1])]
            sides = [first, *others]
            links = tuple(
                _comparison(left, operator, right, names)
                for left, operator, right in zip(sides, operators, others, strict=False)
            )
            return links[0] if len(links) == 1 else Joined(links, all=True)
        case _:
            raise _unknown(node, names)


def _listed(whole: ast.expr, operator: ast.cmpop, last: ast.expr) -> ast.expr:
    """Take one value in parentheses behind ``in`` for a list, as SQL does."""
    ends = [(node.end_lineno, node.end_col_offset) for node in (whole, last)]
    bare = not isinstance(last, ast.List | ast.Tuple | ast.Set)
    if isinstance(operator, ast.In | ast.NotIn) and bare and ends[0] != ends[1]:
        return ast.Tuple([last])
    return last


def _comparison(
    left: ast.expr, operator: ast.cmpop, right: ast.expr, names: Mapping[str, str]
) -> Condition:
    if isinstance(operator, ast.Is | ast.IsNot):
        if not (isinstance(right, ast.Constant) and right.value is None):
            raise _unknown(right, names)
        missing = IsNull(_name(left, names))
        return missing if isinstance(operator, ast.Is) else Not(missing)
    if isinstance(operator, ast.In | ast.NotIn):
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise UsageError(
                f"--where: behind in stand values in parentheses, not {_shown(right, names)}",
                hint="as in --where \"region in ('eu', 'us')\"",
            )
        values = tuple(_literal(item, names) for item in right.elts)
        found = Comparison(_name(left, names), "in", values)
        return found if isinstance(operator, ast.In) else Not(found)
    sign = OPERATORS[type(operator)]
    if isinstance(right, ast.Name) and not isinstance(left, ast.Name):
        left, right, sign = right, left, MIRRORED[sign]
    name, value = _name(left, names), _literal(right, names)
    if isinstance(value, bool) and sign not in ("==", "!="):
        raise UsageError("--where: true and false have no order", hint="== and != compare them")
    return Comparison(name, sign, (value,))


def _name(node: ast.expr, names: Mapping[str, str]) -> str:
    if not isinstance(node, ast.Name):
        raise _unknown(node, names)
    return names.get(node.id, node.id)


def _literal(node: ast.expr, names: Mapping[str, str]) -> Literal:
    match node:
        case ast.Constant(bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)) if value is not True:
            return -value
        case ast.Constant(None):
            raise UsageError("--where: nothing equals null", hint="write is null or is not null")
        case ast.Name():
            raise UsageError(
                f"--where compares a column with a value, not with the column {_name(node, names)}",
                hint="put a text in quotes",
            )
        case _:
            raise _unknown(node, names)


def _unknown(node: ast.expr, names: Mapping[str, str]) -> LossctlError:
    return UsageError(f"--where: {_shown(node, names)} is no part of a filter", hint=EXAMPLE)


def _shown(node: ast.expr, names: Mapping[str, str]) -> str:
    text = ast.unparse(node)
    for stand_in, name in names.items():
        text = text.replace(stand_in, f"`{name}`")
    return text


def _comparisons(condition: Condition) -> Iterator[tuple[str, tuple[Literal, ...]]]:
    """Give every column with the values that it is compared with."""
    match condition:
        case Comparison(column, _, values):
            yield column, values
        case IsNull(column):
            yield column, ()
        case Not(part):
            yield from _comparisons(part)
        case Joined(parts, _):
            for part in parts:
                yield from _comparisons(part)
