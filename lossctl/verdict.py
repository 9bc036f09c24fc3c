"""The verdict of a gate: plain frozen dataclasses, their JSON form and their exit status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from lossctl.errors import Exit
from lossctl.record import record

Decision = Literal["pass", "fail", "undecided", "unmeasurable"]
Inconclusive = Literal["undecided", "pass", "fail"]

GRAVITY: tuple[Decision, ...] = ("unmeasurable", "fail", "undecided", "pass")
"""The gravest first: the verdict is that of the gravest check."""
EXITS: Mapping[Decision, Exit] = {
    "unmeasurable": Exit.UNMEASURABLE,
    "fail": Exit.LIMIT,
    "undecided": Exit.UNDECIDED,
    "pass": Exit.DONE,
}


@record
class Outcome:
    """What one check says of one loss over one slice."""

    name: str
    """The check, as in ``max rmse``; with the slice it names one line of the gate."""
    kind: str
    verdict: Decision
    message: str
    """What was seen and what was allowed, in words."""
    reason: str | None = None
    """Why it could not be measured or decided: a fixed word, such as ``too-few-rows``."""
    loss: str | None = None
    """The canonical spec; None for a check of the rows."""
    slice: Mapping[str, Any] = field(default_factory=dict)
    limit: float | None = None
    observed: float | None = None
    lower: float | None = None
    upper: float | None = None
    """The interval that decided; None where the number alone did."""
    level: float | None = None
    baseline: float | None = None
    """The baseline's value, for a check of a change."""
    n: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form as plain objects."""
        ci = None
        if self.lower is not None:
            ci = {"level": self.level, "lower": self.lower, "upper": self.upper}
        return {
            "id": self.name,
            "kind": self.kind,
            "loss": self.loss,
            "slice": dict(self.slice),
            "verdict": self.verdict,
            "reason": self.reason,
            "observed": self.observed,
            "limit": self.limit,
            "ci": ci,
            "baseline": self.baseline,
            "n": self.n,
            "message": self.message,
        }


@record
class Verdict:
    """All outcomes of a gate, and the one word and the exit status that follow from them."""

    outcomes: tuple[Outcome, ...]
    inconclusive: Inconclusive = "undecided"
    """What an undecided check counts as."""
    exit_zero: bool = False
    """Whether broken limits and undecided checks still exit 0."""

    @property
    def decision(self) -> Decision:
        """The word for the whole gate; without any check nothing was measured."""
        return min(map(self.counted, self.outcomes), key=GRAVITY.index, default="unmeasurable")

    @property
    def exit(self) -> Exit:
        """The exit status; what could not be measured is never masked."""
        status = EXITS[self.decision]
        return Exit.DONE if self.exit_zero and status != Exit.UNMEASURABLE else status

    def counted(self, outcome: Outcome) -> Decision:
        """Give what an outcome counts as, once it is settled what undecided ones do."""
        return self.inconclusive if outcome.verdict == "undecided" else outcome.verdict

    def counts(self) -> dict[Decision, int]:
        """Give the number of outcomes of each kind, the gravest first."""
        found = [outcome.verdict for outcome in self.outcomes]
        return {word: found.count(word) for word in GRAVITY if word in found}

    @property
    def summary(self) -> str:
        """The verdict in one line, as in ``fail: 1 fail, 2 pass``."""
        counts = ", ".join(f"{count} {word}" for word, count in self.counts().items())
        return f"{self.decision}: {counts}"

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form as plain objects."""
        return {
            "verdict": self.decision,
            "exit": int(self.exit),
            "inconclusive": self.inconclusive,
            "checks": [outcome.to_dict() for outcome in self.outcomes],
        }
