"""Turn the samples of a job into figures and hold them against the bars."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from answers import Answers, differences, parse
from jobs import JOBS, MEGABYTE, Job
from measure import Sample


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians, and the least and greatest of the rounds' own ratios."""

    median: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Check:
    """One promise held against a figure: not above the bar, or not below it."""

    job: str
    what: str
    figure: float
    bar: float
    spread: tuple[float, float] | None = None
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Tell whether the promise is kept."""
        return self.figure >= self.bar if self.at_least else self.figure <= self.bar


@dataclass(frozen=True)
class Outcome:
    """All that is known of one job after its rounds."""

    name: str
    samples: dict[str, list[Sample]]
    failures: dict[str, str]
    disagreements: dict[str, list[str]]

    @property
    def job(self) -> Job:
        """Look up what was measured."""
        return JOBS[self.name]

    def walls(self, contender: str) -> list[float]:
        """Give the wall time of each round, none where the contender did not run."""
        return [sample.wall_s for sample in self.samples.get(contender, [])]

    def peak(self, contender: str) -> int | None:
        """Give the greatest peak memory of all rounds."""
        return max((sample.peak_bytes for sample in self.samples.get(contender, [])), default=None)

    @property
    def fastest_rival(self) -> str | None:
        """Name the rival with the smallest median time."""
        ran = [rival for rival in self.job.rivals if self.samples.get(rival)]
        return min(ran, key=lambda rival: median(self.walls(rival)), default=None)

    def ratio(
        self, numerator: str, denominator: str | None, allowance_s: float = 0.0
    ) -> Ratio | None:
        """Divide the times of two contenders, if both ran."""
        if denominator is None:
            return None
        above = self.walls(numerator)
        below = [wall + allowance_s for wall in self.walls(denominator)]
        if not above or not below:
            return None
        rounds = [one / other for one, other in zip(above, below, strict=True)]
        return Ratio(median(above) / median(below), min(rounds), max(rounds))

    @property
    def ratio_to_rival(self) -> Ratio | None:
        """Divide lossctl's time by that of the fastest rival."""
        return self.ratio("lossctl", self.fastest_rival, self.job.allowance_s)


def judge(name: str, samples: dict[str, list[Sample]]) -> Outcome:
    """Set failures apart, drop the warm-up and compare the answers.

    The first rival that answered is the standard for the others and for lossctl.
    """
    failures = {}
    timed = {}
    for contender, runs in samples.items():
        if runs[-1].status == 0:
            timed[contender] = runs[1:]
        else:
            lines = runs[-1].stderr.strip().splitlines() or ["no message"]
            failures[contender] = f"exit status {runs[-1].status}: {lines[-1]}"
    return Outcome(name, timed, failures, _disagreements(JOBS[name], timed))


def _disagreements(job: Job, timed: dict[str, list[Sample]]) -> dict[str, list[str]]:
    if not job.answers:
        return {}
    # Variants of a peer are shown because they compute something else.
    variants = {name for name in job.others if "-" in name}
    answers: dict[str, Answers] = {
        contender: parse(runs[-1].stdout)
        for contender, runs in timed.items()
        if contender not in variants and contender != "decode"
    }
    peers = [contender for contender in answers if not contender.startswith("lossctl")]
    standard = answers.pop(peers[0]) if peers else {}
    found = {name: list(differences(standard, answer)) for name, answer in answers.items()}
    return {name: sentences for name, sentences in found.items() if sentences}


def checks(outcomes: dict[str, Outcome]) -> list[Check]:
    """List every promise that the outcomes can decide."""
    return [check for outcome in outcomes.values() for check in _checks_of(outcome, outcomes)]


def _checks_of(outcome: Outcome, outcomes: dict[str, Outcome]) -> list[Check]:
    job, name = outcome.job, outcome.name
    ratios = [
        (f"time / {outcome.fastest_rival}", outcome.ratio_to_rival, job.bar, False),
        ("time / decoding alone", outcome.ratio("lossctl", "decode"), job.decode_bar, False),
        ("one thread / all", outcome.ratio("lossctl-single", "lossctl"), job.thread_bar, True),
    ]
    found = [
        Check(name, what, ratio.median, bar, (ratio.least, ratio.greatest), at_least=at_least)
        for what, ratio, bar, at_least in ratios
        if ratio is not None and bar is not None
    ]
    peak = outcome.peak("lossctl")
    if peak is None:
        return found
    if job.memory_bar is not None:
        found.append(
            Check(name, "peak memory", peak / MEGABYTE, job.memory_bar / MEGABYTE, unit=" MB")
        )
    twin = outcomes.get(job.memory_twin or "")
    smaller_peak = twin.peak("lossctl") if twin else None
    if smaller_peak is not None:
        found.append(Check(name, f"peak memory / {job.memory_twin}", peak / smaller_peak, 1.15))
    return found
