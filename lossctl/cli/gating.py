"""Limits on the command line: read before the run, held against its report after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from lossctl.cli.stderr import note
from lossctl.errors import Exit, Gathered, LossctlError, UsageError
from lossctl.gates.checks import (
    CHANGES,
    Check,
    Decide,
    check_limit,
    distinct,
    find_loss,
    read_inline,
    read_limit,
    takes_loss,
)
from lossctl.record import record
from lossctl.verdict import Inconclusive, Verdict

if TYPE_CHECKING:
    from lossctl.cli.output import Outputs
    from lossctl.compare import ComparisonPlan
    from lossctl.comparison import Comparison
    from lossctl.gates.baseline import Baseline
    from lossctl.plan import Plan
    from lossctl.report import Report


@record
class Limits:
    """The texts of the options that limit something."""

    max: Sequence[str] | None = None
    min: Sequence[str] | None = None
    max_increase: Sequence[str] | None = None
    max_relative_increase: Sequence[str] | None = None
    min_rows: int | None = None
    max_null_rate: str | None = None
    decide: str | None = None
    baseline: str | None = None
    inconclusive: str = "undecided"
    exit_zero: bool = False

    @property
    def given(self) -> bool:
        """Whether there is any."""
        on_rows = (self.min_rows, self.max_null_rate)
        return any(_on_losses(self).values()) or any(limit is not None for limit in on_rows)


@record
class Gating:
    """All checks of a run and what is done with their outcome."""

    checks: tuple[Check, ...] = ()
    baseline: str | None = None
    inconclusive: Inconclusive = "undecided"
    exit_zero: bool = False

    @classmethod
    def plan(
        cls,
        limits: Limits,
        losses: Sequence[str],
        ci: str,
        by: Sequence[str] | None,
        told: Sequence[Check] = (),
    ) -> Gating:
        """Read the limits, those of a config file among them.

        Raises
        ------
        UsageError
            A limit is none, is on a loss that is not measured, or lacks what it needs.

        """
        from lossctl.cli.values import one_of
        from lossctl.losses import parse

        wrong = Gathered()
        decide: Any = limits.decide or ("point" if ci == "off" else "interval")
        wrong.of(one_of, "--decide", decide, Decide)
        wrong.of(one_of, "--inconclusive", limits.inconclusive, Inconclusive)
        specs = wrong.of(parse, list(losses)) or []
        checks: list[Check] = []
        flagged: list[Check] = []
        for check in told:
            loss = check.loss
            if takes_loss(check.kind) and specs:
                loss = wrong.of(find_loss, check.kind, loss, specs)
            checks.append(replace(check, loss=loss, decide=check.decide or decide))
        for kind, texts in _on_losses(limits).items():
            for text in texts:
                found = wrong.of(read_inline, kind, text, specs) if specs else None
                flagged += [] if found is None else [replace(found, decide=decide)]
        if limits.min_rows is not None:
            flagged.append(Check("min_rows", check_limit("min_rows", limits.min_rows)))
        if limits.max_null_rate is not None:
            rate = wrong.of(read_limit, "max_null_rate", limits.max_null_rate)
            flagged.append(Check("max_null_rate", rate))
        # A flag goes before the file: its limit stands in the place of the one told there.
        named = {(check.kind, check.loss) for check in flagged}
        checks = [check for check in checks if check.slice or (check.kind, check.loss) not in named]
        checks = [*distinct(_with_absolute([*checks, *flagged]))]
        with wrong:
            _check_complete(checks, limits, ci, by)
        wrong.settle()
        inconclusive: Any = limits.inconclusive
        return cls(tuple(checks), limits.baseline, inconclusive, limits.exit_zero)

    def quantiles(self, text: str | None) -> str | None:
        """Add the quantiles that are limited to those that are asked for."""
        asked = text.split(",") if text else []
        have = {float(share) for share in asked if share.replace(".", "", 1).isdigit()}
        shares = dict.fromkeys(check.share for check in self.checks if check.share is not None)
        asked += [f"{share:.15g}" for share in shares if share not in have]
        return ",".join(asked) or None

    def slicings(self, by: Sequence[str] | None) -> list[str]:
        """Add the slices that are limited to those that are asked for."""
        found = list(by or ())
        have = {frozenset(name.strip() for name in text.split(",")) for text in found}
        for check in self.checks:
            columns = frozenset(check.slice) if check.slice != "all" else frozenset[str]()
            if columns and columns not in have:
                have.add(columns)
                found.append(",".join(check.slice))
        return found

    def plan_runs(
        self, wrong: Gathered, files: Sequence[str], losses: list[str], **options: Any
    ) -> tuple[Plan, ComparisonPlan | None]:
        """Plan the run, and its comparison with a baseline of predictions, if there is one.

        Raises
        ------
        LossctlError
            All that is wrong with either.

        """
        from lossctl.cli.planning import plan_files

        plan = plan_files(wrong, files, losses, **options)
        if self.baseline is None or not self.compares:
            return plan, None
        from lossctl.gates.open import holds_predictions

        named = options["inputs"].input_format is not None
        if not holds_predictions(self.baseline, named=named):
            return plan, None
        return plan, _plan_comparison(self.baseline, files, losses, options)

    @property
    def compares(self) -> bool:
        """Whether any limit is on a change."""
        return any(check.kind in CHANGES for check in self.checks)

    def rehearse(self, plan: Plan | ComparisonPlan, repetitions: int, seed: int) -> Exit:
        """Try the checks on draws from the rows, and fail where one does not keep its promise."""
        from lossctl.formats.trials import draw
        from lossctl.gates.selftest import self_test

        trials = self_test(plan, self.checks, repetitions, seed)
        if not trials:
            message = "--self-test tries limits on losses over all rows, and there are none"
            raise UsageError(message)
        typer.echo(draw(trials), nl=False)
        if len(trials) < len(self.checks):
            note("limits on slices, quantiles and rows were not tried")
        return Exit.DONE if all(trial.keeps_its_promise for trial in trials) else Exit.LIMIT

    @contextmanager
    def reporting(self, outputs: Outputs | None) -> Iterator[None]:
        """Write the further reports even where nothing could be measured, as that outcome."""
        try:
            yield
        except LossctlError as error:
            if outputs is not None and self.checks and error.exit == Exit.UNMEASURABLE:
                from lossctl.gates.judge import unmeasured

                outcomes = unmeasured(self.checks, error.slug, str(error))
                outputs.write_reports(_nothing(error, self._verdict(outcomes)))
            raise

    @staticmethod
    def compared(rival: ComparisonPlan | None) -> Comparison | None:
        """Compare with a baseline of predictions, if there is one."""
        if rival is None:
            return None
        from lossctl.compare import compare

        return compare(rival)

    def conclude(
        self, report: Report, compared: Comparison | None, outputs: Outputs, *, quiet: bool
    ) -> Exit:
        """Judge the report, write it, and give the exit status."""
        if not self.checks:
            outputs.write(report, quiet=quiet)
            return Exit.DONE
        from lossctl.gates.baseline import Paired
        from lossctl.gates.judge import judge
        from lossctl.gates.open import open_baseline

        baseline: Baseline | None = None
        if compared is not None:
            baseline = Paired(compared)
        elif self.baseline is not None and self.compares:
            baseline = open_baseline(self.baseline, report)
            if not quiet:
                warn_of_age(self.baseline)
        verdict = self._verdict(judge(self.checks, report, baseline))
        outputs.write(replace(report, gate=verdict), quiet=quiet)
        tell(verdict, quiet=quiet)
        return verdict.exit

    def _verdict(self, outcomes: tuple[Any, ...]) -> Verdict:
        return Verdict(outcomes, self.inconclusive, self.exit_zero)


def warn_of_age(path: str) -> None:
    """Say on stderr that an accepted baseline is old, which its age alone does not make wrong."""
    from lossctl.gates.accepted import STALE_DAYS, read_accepted

    with suppress(LossctlError):
        accepted = read_accepted(path)
        if accepted.age > STALE_DAYS:
            note(f"warning: {path} was accepted {accepted.age} days ago: {accepted.reason}")


def tell(verdict: Verdict, *, quiet: bool) -> None:
    """Say on stderr what did not pass, and the whole in one line."""
    from lossctl.formats.cells import place_name

    for outcome in verdict.outcomes:
        if outcome.verdict != "pass":
            why = f" ({outcome.reason})" if outcome.verdict == "unmeasurable" else ""
            note(f"{outcome.verdict}: {place_name(outcome)}: {outcome.message}{why}")
    if not quiet or verdict.decision != "pass":
        note(f"gate {verdict.summary}")


def _plan_comparison(
    baseline: str, files: Sequence[str], losses: list[str], options: Mapping[str, Any]
) -> ComparisonPlan:
    """Plan the comparison of a candidate with the predictions of a baseline on the same rows.

    Raises
    ------
    LossctlError
        They cannot be compared.

    """
    from lossctl.cli.planning import plan_models
    from lossctl.compare import Method
    from lossctl.errors import ColumnError

    if options.get("group") is not None:
        raise UsageError("--group has no baseline of predictions", hint="take a report of it")
    candidate, *rest = files
    alone = ("quantiles", "histogram", "top", "keep", "sensitivity", "fingerprint", "group")
    asked = {name: value for name, value in options.items() if name not in alone}
    level = 0.95 if asked["ci"] == "off" else float(asked["ci"])
    pred = asked.pop("pred")
    preds = None if pred is None else [pred]
    models, method = [baseline, candidate], Method(level=level)
    truth = rest[0] if rest else None
    try:
        return plan_models(Gathered(), models, truth, losses, method, preds=preds, **asked)
    except ColumnError:
        if truth is not None:
            raise
        # The truth may be beside the candidate's predictions only.
        return plan_models(Gathered(), models, candidate, losses, method, preds=preds, **asked)


def _on_losses(limits: Limits) -> Mapping[str, Sequence[str]]:
    return {
        "max": limits.max or (),
        "min": limits.min or (),
        "max_increase": limits.max_increase or (),
        "max_relative_increase": limits.max_relative_increase or (),
    }


def _with_absolute(checks: Sequence[Check]) -> Iterator[Check]:
    """Let a relative limit know the absolute one, which counts where the baseline is 0."""
    absolute = {(c.loss, str(c.slice)): c.limit for c in checks if c.kind == "max_increase"}
    for check in checks:
        if check.kind == "max_relative_increase":
            yield replace(check, absolute=absolute.get((check.loss, str(check.slice))))
        else:
            yield check


def _check_complete(
    checks: Sequence[Check], limits: Limits, ci: str, by: Sequence[str] | None
) -> None:
    """Refuse limits that nothing could be held against.

    Raises
    ------
    UsageError
        One lacks what it needs.

    """
    changes = [check.title for check in checks if check.kind in CHANGES]
    if changes and limits.baseline is None:
        hint = (
            "--baseline FILE names predictions, an earlier JSON report or a state file, or what "
            "`lossctl baseline accept` has made of one"
        )
        raise UsageError(f"{changes[0]} has no baseline to compare with", hint=hint)
    asked = limits.max_increase or limits.max_relative_increase
    if limits.baseline is not None and not changes and not asked:
        hint = "--max-increase LOSS=X or --max-relative-increase LOSS=X"
        raise UsageError("a baseline is named, but no limit is on an increase", hint=hint)
    if ci == "off" and any(check.by_interval for check in checks):
        raise UsageError("intervals are to decide, but --ci is off")
    if not by and any(check.slice == "all" for check in checks):
        raise UsageError("a limit is on all slices, but there are none", hint="--by makes them")


def _nothing(error: LossctlError, verdict: Verdict) -> Report:
    """Give the report of a run that measured nothing."""
    from lossctl import __version__
    from lossctl.report import Report
    from lossctl.results import Rows

    run = {"version": __version__, "elapsed_s": 0.0, "inputs": []}
    signature = f"lossctl {__version__} | not measured"
    return Report(signature, {}, Rows(0, 0, {}), (), (str(error),), run, verdict)
