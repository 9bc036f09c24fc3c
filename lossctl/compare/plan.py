"""Plans of comparisons: which columns are whose, and by what method the models are judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from lossctl.checks import Check, find_checks
from lossctl.data.binding import Binding, Choices, Slot, bind, is_output, is_stacked
from lossctl.data.reading import Column, Reading
from lossctl.data.source import Source
from lossctl.errors import ColumnError, Gathered, UsageError
from lossctl.losses import Spec
from lossctl.plan import Plan, Policies, pairing_of, plan_reading
from lossctl.record import record

Correction = Literal["none", "holm", "bh"]
Test = Literal["t", "wilcoxon", "sign"]
NAMED = 10
"""Rows that an explanation names unless told otherwise."""


@record
class Method:
    """How differences are judged."""

    level: float = 0.95
    """Level of the intervals; a difference counts where its p-value is below the rest."""
    correction: Correction = "none"
    test: Test = "t"
    """What the p-values come from; a bootstrap brings its own."""
    cluster: str | None = None
    """Column of the clusters, whose rows depend on each other."""
    time: str | None = None
    block_length: int = 0
    """Consecutive distinct times that make a block, which is a cluster; 0 for none."""
    resamples: int = 0
    """Replicates of the bootstrap; 0 for none."""
    seed: int = 0
    explain: tuple[str, ...] = ()
    """Columns whose slices and rows a difference is split over; none to leave it whole."""
    top: int | None = None
    """Rows that an explanation names; None for the usual number."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the method reads."""
        return tuple(name for name in (self.cluster, self.time) if name is not None)

    @property
    def named(self) -> int:
        """Rows to name, which is none where nothing is explained."""
        return (self.top or NAMED) if self.explain else 0

    def check(self, weight: str | None) -> None:
        """Refuse parts that do not go together.

        Raises
        ------
        UsageError, SeveralErrors
            Some do not.

        """
        wrong = Gathered()
        rules = {
            "--block-length needs --time COLUMN to put the rows in order": self.block_length > 0
            and self.time is None,
            "--time needs --block-length N": self.time is not None and not self.block_length,
            "--cluster and --time cannot be combined: a block is a cluster": bool(
                self.cluster and self.time
            ),
            f"--test {self.test} judges rows by themselves, not by --cluster or --time": (
                self.test != "t" and bool(self.columns)
            ),
            f"--test {self.test} and --resamples cannot be combined": self.test != "t"
            and self.resamples > 0,
            "--top counts the rows of an explanation, and needs --explain COLUMNS": (
                self.top is not None and not self.explain
            ),
            f"--test {self.test} knows no weights": self.test != "t" and weight is not None,
        }
        for message, broken in rules.items():
            with wrong:
                if broken:
                    raise UsageError(message)
        wrong.settle()

    @property
    def words(self) -> list[str]:
        """Say what the numbers depend on, for the signature."""
        said = [f"ci={self.level:g}"]
        if self.test != "t":
            said.append(f"test={self.test}")
        if self.cluster is not None:
            said.append(f"cluster={self.cluster}")
        if self.time is not None:
            said.append(f"blocks={self.block_length} of {self.time}")
        if self.resamples:
            said.append(f"resamples={self.resamples} seed={self.seed}")
        if self.explain:
            said.append(f"explain={','.join(self.explain)}")
        return said


@record
class Model:
    """What is compared: a file of predictions, or a column of one."""

    name: str
    source: int
    """Number of the file that holds its predictions."""
    pred: str | None = None
    """Columns of the role ``prediction``; None for the usual ones."""


@record
class ComparisonPlan:
    """All that is decided before the first row is read; the first model is the baseline."""

    models: tuple[Model, ...]
    plans: tuple[Plan, ...]
    """What each model's losses read; all share one reading."""
    checks: tuple[Check, ...]
    slicings: tuple[tuple[str, ...], ...]
    method: Method
    unit: Column | None
    """The column that tells which rows depend on each other; None where none do."""

    @property
    def specs(self) -> tuple[Spec, ...]:
        """The losses."""
        return self.plans[0].specs

    @property
    def reading(self) -> Reading:
        """What is read."""
        return self.plans[0].reading

    @property
    def policies(self) -> Policies:
        """How the work is cut, and what happens to gaps."""
        return self.plans[0].policies

    @property
    def columns(self) -> Mapping[str, Mapping[str, Mapping[str, list[str] | str]]]:
        """Model to loss to role to the columns that fill it, to be shown."""
        pairs = zip(self.models, self.plans, strict=True)
        return {model.name: plan.settings.columns for model, plan in pairs}

    def signature(self, rows: int, tests: int) -> str:
        """Write all that the numbers depend on in one line."""
        method = self.method
        settings = self.plans[0].settings
        names = [f"models={','.join(model.name for model in self.models)}", *method.words]
        names.append(f"correction={method.correction} over {tests} tests")
        whole = replace(settings, policies=replace(self.policies, by=self.slicings))
        head, _, tail = whole.signature(rows).partition(" | ")
        return " | ".join([head, *names, tail])


def plan_comparison(
    predictions: Sequence[Source],
    targets: Source | None,
    specs: Sequence[Spec],
    choices: Choices,
    policies: Policies,
    method: Method,
    *,
    preds: Sequence[str] = (),
    names: Sequence[str] = (),
) -> ComparisonPlan:
    """Decide what is read for a comparison and how, without reading rows.

    ``preds`` names the columns of the predictions: one for all files, one for each, or several
    of a single file. The truth is in ``targets``, or else beside the predictions. Models go by
    ``names``, or else by their files or columns.

    Raises
    ------
    UsageError, SeveralErrors
        A role has no column, or there are not two models.

    """
    models = _models(predictions, preds, names)
    slicings = policies.by
    if method.explain:
        policies = replace(policies, by=(*slicings, method.explain))
    sources = [*predictions, *([] if targets is None else [targets])]
    wrong = Gathered()
    bindings = []
    for model in models:
        with wrong:
            bindings.append(_bind(model, sources, len(predictions), specs, choices))
    wrong.settle()
    pairing = pairing_of(sources, policies, stacked=False)
    reading = plan_reading(
        sources,
        pairing,
        bindings,
        policies,
        carried=method.columns,
        apart=set(_outputs(sources, bindings)),
    )
    unit = next((column for column in reading.carried if column[1] in method.columns), None)
    plans = tuple(
        Plan(tuple(specs), binding, find_checks(specs, binding), reading, policies)
        for binding in bindings
    )
    checks = dict.fromkeys(check for plan in plans for check in plan.checks)
    return ComparisonPlan(models, plans, tuple(checks), slicings, method, unit)


def _models(
    predictions: Sequence[Source], preds: Sequence[str], names: Sequence[str]
) -> tuple[Model, ...]:
    names = names or [source.path for source in predictions]
    named: list[tuple[str, int, str | None]]
    if len(predictions) == 1 and len(preds) > 1:
        named = [(pred, 0, pred) for pred in preds]
    elif len(predictions) < 2:
        raise UsageError(
            "there is only one model to compare",
            hint="name a second file, or two columns of one: --pred a --pred b",
        )
    elif len(preds) in (1, len(predictions)):
        each = preds if len(preds) > 1 else [preds[0]] * len(predictions)
        named = [(name, i, each[i]) for i, name in enumerate(names)]
    elif preds:
        raise UsageError(
            f"{len(preds)} --pred for {len(predictions)} files",
            hint="give one for all of them, or one for each",
        )
    else:
        named = [(name, i, None) for i, name in enumerate(names)]
    texts = _distinct([name for name, _, _ in named])
    return tuple(
        Model(text, source, pred) for text, (_, source, pred) in zip(texts, named, strict=True)
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that come again, so that each stands for one model."""
    counts = [names[:i].count(name) + 1 for i, name in enumerate(names)]
    return [
        name if count == 1 else f"{name} ({count})"
        for name, count in zip(names, counts, strict=True)
    ]


def _bind(
    model: Model, sources: Sequence[Source], files: int, specs: Sequence[Spec], choices: Choices
) -> Binding:
    """Find a model's columns: the truth in the targets or with the baseline, the rest in its own.

    Raises
    ------
    ColumnError
        A role has no column, or only another file has one.

    """
    truth = len(sources) - 1 if len(sources) > files else 0
    own = [model.source] if model.source == truth else [model.source, truth]
    told = dict(choices.columns) | ({"prediction": model.pred} if model.pred is not None else {})
    part = [sources[number] for number in own]
    if stacked := [spec.label for spec in specs if is_stacked(spec, part)]:
        raise UsageError(
            f"{', '.join(stacked)}: models are compared on the same rows, "
            "so both populations must be in one file, told apart by a column of the target",
        )
    binding = bind(specs, part, replace(choices, columns=told))
    found: dict[str, dict[str, Slot]] = {}
    for spec in specs:
        slots = {}
        for role, slot in binding[spec.full].items():
            if slot.columns and role != "target" and own[slot.source] != model.source:
                raise ColumnError(
                    f"{model.name} has no column for the role {role!r}; only "
                    f"{sources[truth].path} has one",
                    hint="--pred names a column, once for all files or once for each",
                )
            slots[role] = replace(slot, source=own[slot.source]) if slot.columns else slot
        found[spec.full] = slots
    return found


def _outputs(sources: Sequence[Source], bindings: Sequence[Binding]) -> Iterator[str]:
    """Name the columns in which models differ by nature: what they predict, read or not."""
    for binding in bindings:
        for roles in binding.values():
            yield from (c for role, slot in roles.items() if role != "target" for c in slot.columns)
    yield from (name for source in sources for name in source.names if is_output(name))
