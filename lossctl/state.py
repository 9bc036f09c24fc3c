"""States: what a task gives back, and how two of them become one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl.data.cells import Cells
from lossctl.data.joined import Pairs
from lossctl.data.tasks import Piece
from lossctl.losses import Spec
from lossctl.plan import Policies, Settings
from lossctl.sensitivity import MOST
from lossctl.stats.fingerprint import Fingerprint
from lossctl.stats.tally import Rows, Tally

LabelsSeen = frozenset[Any]
Groups = npt.NDArray[np.intp]


@dataclass
class State:
    """What a task gives back; states merge in any order."""

    cells: Cells
    tallies: dict[str, Tally]
    read: dict[Piece, int]
    """Rows read of each piece of the input."""
    dropped: dict[str, Rows]
    labels: dict[tuple[str, str], LabelsSeen]
    """What is judged over the whole input: spec and role to the numbers that code labels there;
    spec and a label that was told to True where a row has it, else to a few others as texts."""
    pairs: Pairs = field(default_factory=Pairs)
    """What became of the keys, where rows are paired by key."""
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    """Which rows there were, where that is asked for."""

    def merge(self, other: State) -> Groups:
        """Add another state of the same plan; gives the number here of each of its cells."""
        groups = self.cells.numbers(other.cells.keys)
        for name, tally in other.tallies.items():
            self.tallies[name].grow(len(self.cells.keys))
            self.tallies[name].merge(tally, groups)
        for piece, count in other.read.items():
            self.read[piece] = self.read.get(piece, 0) + count
        for why, rows in other.dropped.items():
            self.dropped.setdefault(why, Rows()).merge(rows)
        for role, seen in other.labels.items():
            self.labels[role] = self.labels.get(role, frozenset()) | seen
        self.pairs.merge(other.pairs)
        self.fingerprint.merge(other.fingerprint)
        return groups


def empty_state(settings: Settings) -> State:
    """Give the identity of merging."""
    policies = settings.policies
    cells = Cells(policies.sliced, policies.max_slices)
    tallies = {
        spec.full: empty_tally(spec, kept, len(cells.keys)) for spec, kept in settings.measured
    }
    return State(cells, tallies, {}, {}, {})


def empty_tally(spec: Spec, policies: Policies, groups: int) -> Tally:
    """Give a tally of one loss without rows."""
    return Tally(
        spec.loss.finish.components,
        products=policies.ci is not None,
        buckets=bool(policies.quantiles) or policies.histogram or policies.sensitivity,
        weighted=policies.weight is not None,
        worst=max(policies.top, MOST if policies.sensitivity else 0),
        signed=spec.loss.direction == "zero_is_best",
        groups=groups,
    )
