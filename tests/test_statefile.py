"""State files: shards add up to one run over all their rows, and nothing else is let in."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lossctl import state_json, statefile
from lossctl.data import blocks, csv
from lossctl.data.binding import Choices
from lossctl.data.source import open_source, stamped_inputs
from lossctl.errors import DomainError, Exit, InputError
from lossctl.evaluate import evaluate
from lossctl.losses import Loss, parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report
from lossctl.state import State
from lossctl.statefile import Saved, StateError, dump, load, load_merged, report_of

Draw = Callable[..., dict[str, Any]]
TakeRows = Callable[[dict[str, Any], npt.NDArray[np.intp]], dict[str, Any]]
Write = Callable[..., Path]
Columns = Mapping[str, str]

ROWS = 36
CUTS = (0, 1, 9, 22, ROWS)
"""Where a table is cut into shards."""
EVERYTHING: Mapping[str, Any] = {
    "quantiles": (0.1, 0.5, 0.9),
    "histogram": True,
    "top": 3,
    "sensitivity": True,
    "keep": ("half", "region"),
    "by": (("region",), ("region", "half")),
}


def run(
    specs: Sequence[str], paths: Sequence[Path], columns: Columns | None = None, **policies: Any
) -> tuple[Saved, Report | None]:
    """Evaluate files and give the state and the report; no report where no row is left."""
    sources = [open_source(str(path)) for path in paths]
    names = {name for source in sources for name in source.names}
    chosen = parse(list(specs))
    roles = {role.name for spec in chosen for role in spec.loss.roles}
    told = {role: role for role in roles & names} if columns is None else columns
    plan = make_plan(sources, chosen, Choices(told), Policies(**policies))
    states: list[State] = []
    try:
        report = evaluate(plan, checkpoint=states.append)
    except InputError:
        report = None
    return Saved(plan.settings, states[-1], stamped_inputs(sources)), report


def keep(path: Path, saved: Saved) -> str:
    """Write a state, and hold that it reads back as it was."""
    text = dump(saved)
    path.write_text(text, encoding="utf-8")
    assert dump(load(str(path))) == text
    return str(path)


def comparable(report: Report, rows_before: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """Give all of a report but the facts of the run, its rows named as in the whole table."""

    def renamed(part: Any) -> Any:
        if isinstance(part, dict) and part.keys() >= {"file", "row"}:
            whole, before = rows_before.get(Path(part["file"]).name, (part["file"], 0))
            return part | {"file": whole, "row": part["row"] + before}
        if isinstance(part, dict):
            return {name: renamed(value) for name, value in part.items()}
        return [renamed(value) for value in part] if isinstance(part, list) else part

    def renamed_text(found: re.Match[str]) -> str:
        whole, before = rows_before[Path(found[1]).name]
        return f"(first: {whole} row {int(found[2]) + before})"

    everything = renamed(report.to_dict())
    warnings = [re.sub(r"\(first: (.*) row (\d+)\)", renamed_text, w) for w in report.warnings]
    del everything["run"], everything["digest"]
    return json.loads(json.dumps(everything | {"warnings": warnings}))  # type: ignore[no-any-return]


# Merging ------------------------------------------------------------------------------------------


def with_slices(columns: dict[str, Any]) -> dict[str, Any]:
    """Add columns to slice by."""
    rows = np.arange(ROWS)
    return columns | {"region": np.array(["n", "s", "", "e"])[rows * 7 % 4], "half": rows % 2}


@pytest.mark.parametrize("weight", [None, "share"], ids=["plain", "weighted"])
def test_shards_of_any_loss_add_up_to_one_run(
    loss: Loss,
    weight: str | None,
    draw: Draw,
    take_rows: TakeRows,
    write_parquet: Write,
    tmp_path: Path,
) -> None:
    """Every field but the facts of the run, with slices, quantiles and intervals."""
    columns = with_slices(draw(loss, ROWS)) | {"share": np.arange(ROWS) % 5 / 3}
    whole = write_parquet(tmp_path / "all.parquet", columns)
    _, expected = run([loss.name], [whole], weight=weight, **EVERYTHING)
    assert expected is not None
    states, before = [], {"all.parquet": ("all", 0)}
    for number, (start, stop) in enumerate(pairwise(CUTS)):
        shard = tmp_path / f"shard-{number}.parquet"
        write_parquet(shard, take_rows(columns, np.arange(start, stop)))
        saved, _ = run([loss.name], [shard], weight=weight, **EVERYTHING)
        states.append(keep(tmp_path / f"{number}.state", saved))
        before[shard.name] = ("all", start)
    for order in ((3, 0, 2, 1), (1, 2, 3, 0)):
        merged = report_of(load_merged([states[number] for number in order]))
        assert comparable(merged, before) == comparable(expected, before)


PROBABILITIES = (0.0, 1.0, 1e-300, 1e-17, 0.25, 0.5, 1.0 - 2.0**-53)
REALS = (0.0, -0.0, 1.5, -2.0, 1e300, -1e300, 5e-324, 1e-9, 1 / 3)
HOLES = (None, math.nan, math.inf, -math.inf)
TABLE = pa.schema(
    {"p": pa.float64(), "label": pa.float64(), "x": pa.float64(), "t": pa.float64()}
    | {"region": pa.string(), "whole": pa.int64()}
)
Row = tuple[float | None, float | None, float | None, float | None, str | None, int | None]
rows_of_a_table = st.tuples(
    st.sampled_from([*PROBABILITIES, None]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([*REALS, *REALS, *HOLES]),
    st.sampled_from([*REALS, *REALS, *HOLES]),
    st.sampled_from(["a", "b,[c]", "", "\n", None]),
    st.sampled_from([1, -3, None]),
)
tables = st.lists(st.lists(rows_of_a_table, min_size=1, max_size=9), min_size=2, max_size=4)
SPECS = ("bce", "bce:eps=0", "rmse", "huber:delta=2")
BINDING = {"prediction": "x", "target": "t", "bce.prediction": "p", "bce.target": "label"}


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows that may hold nulls."""
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, kind) for c, kind in zip(columns, TABLE.types, strict=True)]
    pq.write_table(pa.table(arrays, schema=TABLE), path)
    return path


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(
    shards=tables,
    nonfinite=st.sampled_from(["drop", "keep"]),
    ci=st.sampled_from([0.9, None]),
    chunk_rows=st.integers(1, 10),
    random=st.randoms(use_true_random=False),
)
def test_shards_of_any_table_add_up_to_one_run(
    shards: list[list[Row]],
    nonfinite: str,
    ci: float | None,
    chunk_rows: int,
    random: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nulls, NaN, infinities and clipped rows, several losses, any order and grouping of merges."""
    folder = tmp_path_factory.mktemp("shards")
    policies: dict[str, Any] = {
        "nulls": "drop",
        "nonfinite": nonfinite,
        "ci": ci,
        "quantiles": (0.0, 0.5, 0.99),
        "histogram": True,
        "by": (("region",), ("whole", "region"), ("whole",)),
    }
    whole = write_rows(folder / "all.parquet", [row for shard in shards for row in shard])
    _, expected = run(SPECS, [whole], BINDING, **policies)
    states, before, rows = [], {"all.parquet": ("all", 0)}, 0
    for number, shard in enumerate(shards):
        path = write_rows(folder / f"shard-{number}.parquet", shard)
        saved, _ = run(SPECS, [path], BINDING, chunk_rows=chunk_rows, **policies)
        states.append(keep(folder / f"{number}.state", saved))
        before[path.name] = ("all", rows)
        rows += len(shard)
    random.shuffle(states)
    some = random.randint(1, len(states))
    part = keep(folder / "part.state", load_merged(states[:some]))
    merged = load_merged([*states[some:], part])
    gaps = [
        number
        for number, (p, _, x, t, *_) in enumerate(chain(*shards), start=1)
        if None in (p, x, t)
    ]
    if expected is None:
        with pytest.raises(InputError):
            report_of(merged)
    else:
        found = comparable(report_of(merged), before)
        assert found == comparable(expected, before)
        null = found["rows"]["dropped"].get("null", {"count": 0, "first": []})
        assert null["count"] == len(gaps)
        assert [ref["row"] for ref in null["first"]] == gaps[:5]


@pytest.mark.parametrize("name", ["huber", "gan_discriminator"])
def test_shards_of_two_files_add_up_to_one_run(
    name: str, draw: Draw, write_csv: Write, tmp_path: Path
) -> None:
    """Predictions and targets apart, and two populations."""
    drawn = draw(parse([name])[0].loss, ROWS)
    if name == "huber":
        files = {"prediction": {"prediction": drawn["prediction"]}}
        files["target"] = {"target": drawn["target"]}
    else:
        files = {"generated": {"prediction": drawn["prediction"]}}
        files["real"] = {"prediction": drawn["prediction"][::-1].copy()}
    policies = {"quantiles": (0.5,), "histogram": True}
    whole = [write_csv(tmp_path / f"{part}.csv", columns) for part, columns in files.items()]
    _, expected = run([name], whole, **policies)
    assert expected is not None
    states, before = [], {path.name: (path.stem, 0) for path in whole}
    for number, (start, stop) in enumerate(pairwise(CUTS)):
        shards = []
        for part, columns in files.items():
            shards.append(tmp_path / f"{part}-{number}.csv")
            write_csv(shards[-1], {role: values[start:stop] for role, values in columns.items()})
            before[shards[-1].name] = (part, start)
        states.append(keep(tmp_path / f"{number}.state", run([name], shards, **policies)[0]))
    merged = report_of(load_merged(states[::-1]))
    assert comparable(merged, before) == comparable(expected, before)


def test_clipped_rows_of_shards_add_up(write_csv: Write, tmp_path: Path) -> None:
    """Their number and their share of the sum."""
    states = []
    for name, prediction in (("a", [0.0, 0.5]), ("b", [0.5, 0.0, 1.0])):
        columns = {"prediction": np.array(prediction), "target": np.ones(len(prediction))}
        path = write_csv(tmp_path / f"{name}.csv", columns)
        states.append(keep(tmp_path / f"{name}.state", run(["bce:eps=0.25"], [path])[0]))
    result = report_of(load_merged(states)).results[0]
    # The rows lose log 4, log 2, log 2, log 4 and 0; those of log 4 are clipped.
    assert result.clipped.count == 2
    assert result.clipped_share == pytest.approx(4 / 6)


def test_labels_are_judged_over_all_shards(write_csv: Write, tmp_path: Path) -> None:
    """One shard codes its labels 0 and 1, the other -1 and 1."""
    states = []
    for name, label in (("a", 0.0), ("b", -1.0)):
        columns = {"prediction": np.ones(2), "target": np.array([label, 1.0])}
        path = write_csv(tmp_path / f"{name}.csv", columns)
        states.append(keep(tmp_path / f"{name}.state", run(["hinge"], [path])[0]))
    with pytest.raises(DomainError, match="-1"):
        report_of(load_merged(states))


# What is refused ----------------------------------------------------------------------------------


@pytest.fixture
def table(write_csv: Write, tmp_path: Path) -> Callable[[str], Path]:
    """Write a small table under a name."""

    def write(name: str) -> Path:
        prediction = np.linspace(0.125, 0.875, 12)
        columns = {"prediction": prediction, "other": prediction, "target": np.arange(12.0) % 2}
        return write_csv(tmp_path / f"{name}.csv", columns | {"region": np.arange(12.0) % 3})

    return write


@pytest.fixture
def state(table: Callable[[str], Path], tmp_path: Path) -> Callable[..., str]:
    """Write the state of a run over a small table."""

    def write(name: str, specs: Sequence[str] = ("mse",), **policies: Any) -> str:
        return keep(tmp_path / f"{name}.state", run(specs, [table(name)], **policies)[0])

    return write


@pytest.mark.parametrize(
    ("specs", "policies", "difference"),
    [
        (["mae"], {}, 'losses: ["mae"] instead of ["mse"]'),
        (["mse", "mae"], {}, 'losses: ["mse", "mae"] instead of ["mse"]'),
        (["mse"], {"nulls": "drop"}, 'nulls: "drop" instead of "error"'),
        (["mse"], {"nonfinite": "keep"}, 'nonfinite: "keep" instead of "error"'),
        (["mse"], {"ci": None}, "ci: null instead of 0.95"),
        (["mse"], {"quantiles": (0.5,)}, "quantiles: [0.5] instead of []"),
        (["mse"], {"histogram": True}, "histogram: true instead of false"),
        (["mse"], {"by": (("region",),)}, 'by: [["region"]] instead of []'),
    ],
)
def test_states_of_other_settings_are_refused_and_the_difference_is_named(
    specs: list[str], policies: dict[str, Any], difference: str, state: Callable[..., str]
) -> None:
    """Whichever setting it is, in words that hold both of its values."""
    first, other = state("first"), state("other", specs, **policies)
    with pytest.raises(StateError) as caught:
        load_merged([first, other])
    assert caught.value.message.endswith(f"in {difference}")
    assert caught.value.place.file == other


def test_states_of_other_columns_are_refused(table: Callable[[str], Path], tmp_path: Path) -> None:
    """The report could not say which column was used."""
    states = []
    for name, column in (("a", "prediction"), ("b", "other")):
        saved, _ = run(["mse"], [table(name)], {"prediction": column, "target": "target"})
        states.append(keep(tmp_path / f"{name}.state", saved))
    with pytest.raises(StateError, match=r'columns: .*"other".* instead of .*"prediction"'):
        load_merged(states)


def test_states_of_one_file_and_of_two_are_refused(
    table: Callable[[str], Path], state: Callable[..., str], tmp_path: Path
) -> None:
    """The pairing is a setting too."""
    saved, _ = run(["mse"], [table("left"), table("right")])
    other = keep(tmp_path / "two.state", saved)
    with pytest.raises(StateError, match='pairing: "position" instead of "one file"'):
        load_merged([state("one"), other])


def test_the_number_of_jobs_and_of_rows_in_a_chunk_is_no_setting(
    state: Callable[..., str],
) -> None:
    """They change no digit."""
    merged = load_merged([state("a", jobs=2, chunk_rows=3), state("b")])
    assert report_of(merged).rows.read == 24


def test_the_same_rows_twice_are_refused(state: Callable[..., str], tmp_path: Path) -> None:
    """A state named twice, a copy of it, and one that a merged state already holds."""
    a, b = state("a"), state("b")
    merged = keep(tmp_path / "both.state", load_merged([a, b]))
    for paths in ([a, a], [b, merged], [merged, a]):
        with pytest.raises(StateError, match=r"holds rows of .*\.csv as well"):
            load_merged(paths)


def test_a_file_that_has_grown_holds_the_rows_it_held(
    state: Callable[..., str], tmp_path: Path
) -> None:
    """Its pieces are others, but they overlap those of before."""
    before = state("daily")
    path = tmp_path / "daily.csv"
    path.write_text(path.read_text("utf-8") + "0.5,0.5,1,1\n", "utf-8")
    after = keep(tmp_path / "after.state", run(["mse"], [path])[0])
    with pytest.raises(StateError, match=r"holds rows of .*daily\.csv as well"):
        load_merged([before, after])


def test_pieces_of_one_file_that_do_not_overlap_add_up(
    table: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two workers that read a range of lines each would leave such states."""
    monkeypatch.setattr(csv, "RANGE_BYTES", 100)
    saved, expected = run(["mse"], [table("rows")])
    assert expected is not None
    assert len(saved.state.read) > 1
    text = json.loads(dump(saved))
    whole = keep(tmp_path / "whole.state", saved)
    first = load(whole)
    first.state.read = dict(sorted(first.state.read.items())[:1])
    rest = load(whole)
    rest.state.read = dict(sorted(rest.state.read.items())[1:])
    first.merge(rest, "rest.state")
    assert [[*piece, rows] for piece, rows in sorted(first.state.read.items())] == text["read"]


DAMAGED = "not a state file, or a damaged one"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b'{"schema": 1}',
        b'{"schema": {"name": "lossctl.state"}, "settings": []}',
        b"[" * 100_000,
        b"PAR1\x15\x04\xff\xfe",
        b"prediction,target\n0.5,1\n",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever it holds, the answer is a sentence."""
    path = tmp_path / "foreign.state"
    path.write_bytes(content)
    with pytest.raises(StateError, match=DAMAGED) as caught:
        load(str(path))
    assert caught.value.exit == Exit.UNMEASURABLE
    assert caught.value.place.file == str(path)


def test_a_report_is_no_state(table: Callable[[str], Path], tmp_path: Path) -> None:
    """Both are JSON of lossctl."""
    _, report = run(["mse"], [table("rows")])
    assert report is not None
    path = tmp_path / "report.json"
    path.write_text(report.to_json(), encoding="utf-8")
    with pytest.raises(StateError, match=DAMAGED):
        load(str(path))


def test_a_missing_state_is_an_error_of_the_input(tmp_path: Path) -> None:
    """So is one that is a folder."""
    for path in (tmp_path / "none.state", tmp_path):
        with pytest.raises(InputError) as caught:
            load(str(path))
        assert caught.value.place.file == str(path)


def test_a_truncated_state_is_refused(state: Callable[..., str]) -> None:
    """Wherever it ends; only the line end at its end may be missing."""
    path = Path(state("rows", by=(("region",),), quantiles=(0.5,)))
    data = path.read_bytes()
    for stop in range(0, len(data) - 1, 29):
        path.write_bytes(data[:stop])
        with pytest.raises(StateError, match=DAMAGED):
            load(str(path))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the bytes of a state that holds something of every kind."""
    folder = tmp_path_factory.mktemp("sound")
    rows: list[Row] = [
        (0.0, 1.0, 1.5, 0.5, "a", 1),
        (0.5, 0.0, math.inf, -2.0, None, None),
        (1.0, 0.0, math.nan, 1e-300, "b", 2),
        (None, 1.0, 0.25, 3.0, "b", 1),
    ]
    policies: dict[str, Any] = {"nulls": "drop", "nonfinite": "keep", "by": (("region",),)}
    path = write_rows(folder / "rows.parquet", rows)
    saved, _ = run(SPECS, [path], BINDING, quantiles=(0.5,), **policies)
    return dump(saved).encode()


@settings(max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.5, bit=0)
def test_a_flipped_bit_is_noticed(
    place: float, bit: int, sound: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Unless it changes nothing, as 1e-9 and 1E-9 are one number."""
    path = tmp_path_factory.getbasetemp() / "flipped.state"
    data = bytearray(sound)
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    with contextlib.suppress(StateError):
        assert dump(load(str(path))).encode() == sound


def test_a_state_of_another_version_is_refused(
    state: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both versions are named."""
    with monkeypatch.context() as patch:
        for module in (state_json, statefile):
            patch.setattr(module, "__version__", "0.0.7")
        other = state("other")
    with pytest.raises(StateError, match=r"written by lossctl 0\.0\.7, this is \d") as caught:
        load_merged([state("mine"), other])
    assert caught.value.place.file == other


def test_the_state_of_a_run_that_did_not_end_is_not_merged(
    state: Callable[..., str], tmp_path: Path
) -> None:
    """Its rows would be missing without a word."""
    saved = load(state("rows"))
    saved.complete = False
    path = keep(tmp_path / "killed.state", saved)
    for paths in ([path], [state("other"), path]):
        with pytest.raises(StateError, match="did not come to its end") as caught:
            load_merged(paths)
        assert "--resume" in caught.value.hint


# Going on -----------------------------------------------------------------------------------------


def test_a_changed_input_is_noticed_even_at_the_same_length(table: Callable[[str], Path]) -> None:
    """One digit is another one now."""
    path = table("rows")
    before, _ = run(["mse"], [path])
    again, _ = run(["mse"], [path])
    again.check_same_run(before, "x.state")
    changed = path.stat().st_mtime_ns + 1
    path.write_text(path.read_text("utf-8").replace("0.125", "0.126"), "utf-8")
    os.utime(path, ns=(changed, changed))
    now, _ = run(["mse"], [path])
    with pytest.raises(StateError, match="other files, or they have changed") as caught:
        now.check_same_run(before, "x.state")
    assert caught.value.place.file == "x.state"


def test_a_run_of_other_settings_does_not_go_on(table: Callable[[str], Path]) -> None:
    """The other value and the one of the state are named."""
    path = table("rows")
    before, _ = run(["mse"], [path])
    now, _ = run(["mse"], [path], nulls="drop")
    with pytest.raises(StateError, match='in nulls: "drop" instead of "error"'):
        now.check_same_run(before, "x.state")
    now, _ = run(["mse"], [path], {"prediction": "other", "target": "target"})
    with pytest.raises(StateError, match="in columns: "):
        now.check_same_run(before, "x.state")


def test_a_run_can_go_on_from_any_pieces(
    write_parquet: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, draw: Draw
) -> None:
    """Whatever was done before, the report is the same and only the rest is read."""
    monkeypatch.setattr(blocks, "FRAGMENT_ROWS", 10)
    columns = with_slices(draw(parse(["huber"])[0].loss, ROWS))
    path = write_parquet(tmp_path / "rows.parquet", columns, groups=(1, 12, 3, 9, 2))
    plan = make_plan(
        [open_source(str(path))], parse(["huber", "mbe"]), Choices({}), Policies(**EVERYTHING)
    )
    texts: list[str] = []

    def checkpoint(so_far: State) -> None:
        texts.append(dump(Saved(plan.settings, so_far, [])))

    monkeypatch.setattr(sys.modules["lossctl.evaluate"], "CHECKPOINT_S", -1.0)
    expected = comparable(evaluate(plan, checkpoint=checkpoint), {})
    assert len(texts) == 4
    for text in texts:
        saved = tmp_path / "x.state"
        saved.write_text(text, "utf-8")
        done = load(str(saved)).state
        known = sum(done.read.values())
        counted = Counted()
        report = evaluate(plan, counted, done=done)
        assert comparable(report, {}) == expected
        assert counted.rows == ROWS - known


class Counted:
    """A progress that counts rows."""

    rows = 0

    def advance(self, rows: int) -> None:
        """Count."""
        self.rows += rows

    def merged(self, state: State) -> None:
        """Do nothing."""
