"""The outline of a run as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def draw(found: Mapping[str, Any]) -> str:
    """Show inputs, losses with their roles, pairing, policies and what the work would take."""
    blocks = [
        ["inputs", *_table([_input(each) for each in found["inputs"]])],
        *(
            [each["loss"], *_table([_role(role, found) for role in each["roles"]])]
            for each in found["losses"]
        ),
        ["rows", *_table(list(_rows(found)))],
        ["work", *_table(list(_work(found["work"])))],
        ["signature", f"  {found['signature']}"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def _input(each: Mapping[str, Any]) -> list[str]:
    packed = "" if each["compression"] is None else f" in {each['compression']}"
    files = f"{each['files']} files" if each["files"] > 1 else ""
    rows = "rows unknown" if each["rows"] is None else f"{each['rows']} rows"
    columns = len(each["columns"])
    size = f"{each['bytes']} bytes"
    return [each["path"], f"{each['format']}{packed}", files, rows, f"{columns} columns", size]


def _role(role: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    several = len(found["inputs"]) > 1 and role["input"] is not None
    columns = ", ".join(role["columns"])
    kinds = ", ".join("text" if kind is None else kind for kind in role["types"])
    source = f"{columns} of {role['input']}" if several else columns
    return [role["role"], source, kinds, f"-> {role['becomes']}", role["why"]]


def _rows(found: Mapping[str, Any]) -> Iterator[list[str]]:
    pairing, policies = found["pairing"], found["policies"]
    keys = f" {', '.join(pairing['keys'])}, missing={pairing['missing']}" if pairing["keys"] else ""
    yield ["pairing", pairing["by"] + keys]
    if pairing["equal"]:
        yield ["must be equal", ", ".join(pairing["equal"])]
    for name in ("nulls", "nonfinite", "where", "weight", "ci"):
        if policies[name] is not None:
            yield [name, str(policies[name])]
    yield from (["by", ", ".join(names)] for names in policies["by"])


def _work(work: Mapping[str, Any]) -> Iterator[list[str]]:
    unread = f", {work['unread']} of them left unread by --where" if work["unread"] else ""
    yield ["pieces", f"{work['tasks']}{unread}"]
    yield ["threads", str(work["jobs"])]
    yield ["rows at a time", str(work["rows_of_chunk"])]
    yield ["memory", f"about {work['memory'] / 1e6:.0f} MB at most"]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align cells; columns that say nothing are left out."""
    filled = [i for i in range(max(map(len, rows))) if any(row[i] for row in rows)]
    widths = {i: max(len(row[i]) for row in rows) for i in filled}
    return ["  " + "  ".join(row[i].ljust(widths[i]) for i in filled).rstrip() for row in rows]
