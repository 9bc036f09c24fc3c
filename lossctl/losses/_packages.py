"""Losses of installed packages: the entry points of the group ``lossctl.losses``.

An entry point leads to a loss, or to a module whose losses it stands for. They are loaded when a
spec names a loss that is not built in, and to list them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from lossctl.losses._declare import REGISTRY, Loss
from lossctl.losses._guard import guarded, reason_of
from lossctl.record import record

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "lossctl.losses"


@record
class Installed:
    """What the packages of this environment bring."""

    losses: dict[str, Loss]
    """By name and alias."""
    faults: tuple[str, ...]
    """What could not be loaded, and why."""


@functools.cache
def installed() -> Installed:
    """Load the losses of every package; a name that is taken stays with whoever had it first."""
    from importlib.metadata import entry_points  # brings email and zipfile along

    found: dict[str, Loss] = {}
    seen: list[Loss] = []
    faults = []
    taken = {name for loss in REGISTRY.values() for name in (loss.name, *loss.aliases)}
    for point in sorted(entry_points(group=GROUP), key=lambda each: (_package(each), each.name)):
        package = _package(point)
        try:
            losses = list(_losses_at(point.load()))
        except Exception as error:  # noqa: BLE001 - one broken package is no reason to fail
            faults.append(f"{package}: {point.value} cannot be loaded ({reason_of(error)})")
            continue
        if not losses:
            faults.append(f"{package}: {point.value} is neither a loss nor a module with one")
        for loss in (loss for loss in losses if loss not in seen):
            seen.append(loss)
            if clash := [name for name in (loss.name, *loss.aliases) if name in taken | set(found)]:
                faults.append(f"{package}: the name {clash[0]!r} of a loss is taken")
                continue
            safe = guarded(loss, name=loss.name, origin=package)
            found |= dict.fromkeys((loss.name, *loss.aliases), safe)
    return Installed(found, tuple(faults))


def _losses_at(target: object) -> Iterator[Loss]:
    if isinstance(target, Loss):
        yield target
    elif isinstance(target, ModuleType):
        for each in vars(target).values():
            if isinstance(each, Loss) and each.kernel.__module__ == target.__name__:
                yield each


def _package(point: EntryPoint) -> str:
    return "a package" if point.dist is None else f"{point.dist.name}-{point.dist.version}"
