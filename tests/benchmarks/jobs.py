"""The jobs of the benchmark and, in one table, the lossctl command line of each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "peers"

FIVE_LOSSES = (
    "-l mse,mae,mbe,huber,bce --col bce.prediction=probability --col bce.target=label -f json"
)

# {0}, {1} are the job's files in order, {threads} the number of threads asked for.
LOSSCTL_COMMANDS = {
    "J1": "eval {0} -l mse --ci off -f json --jobs {threads}",
    "J2": f"eval {{0}} {FIVE_LOSSES} --ci off --jobs {{threads}}",
    "J2S": f"eval {{0}} {FIVE_LOSSES} --ci off --jobs {{threads}}",
    "J3": f"eval {{0}} {FIVE_LOSSES} --quantiles 0.5,0.9,0.99 --jobs {{threads}}",
    "J4": f"eval {{0}} {FIVE_LOSSES} --ci off --by region --by shop --jobs {{threads}}",
    "J5": "eval {0} -l mse,mae --ci off -f json --jobs {threads}",
    "J6": "eval {0} -l cross_entropy --ci off -f json --jobs {threads}",
    "J7": "eval {0} -l contrastive,cosine_embedding --col cosine_embedding.target=sign"
    " --ci off -f json --jobs {threads}",
    "J8": "eval {0} -l mse",
    "J9": f"eval {{0}} {FIVE_LOSSES} --ci off --jobs {{threads}}",
    "J10": "eval {0} {1} --key key -l mse --ci off -f json --jobs {threads}",
    "J11": "score {0} -l mse,mae --ci off -f json --jobs {threads} --overwrite -o {scores}",
}

# What lossctl states for its quantiles; the peers' exact ones must lie within it.
QUANTILE_TOLERANCE = 0.002
VALUE_TOLERANCE = 1e-9

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Job:
    """What is measured, on which files, against whom, and how fast it has to be.

    ``rivals`` set the bar; ``others`` run for information. A name such as ``duckdb-approx`` is a
    variant of a peer, ``lossctl-single`` is lossctl with one thread.
    """

    title: str
    data: tuple[str, ...]
    rivals: tuple[str, ...] = ("duckdb", "polars")
    others: tuple[str, ...] = ()
    bar: float | None = None
    # Added to the rivals' time before the ratio is taken.
    allowance_s: float = 0.0
    # The columns a program reads that does nothing but decode; none means it does not run.
    decoded: tuple[str, ...] = ()
    decode_bar: float | None = None
    thread_bar: float | None = None
    memory_bar: float | None = None
    # The same job on a tenth of the rows, whose peak memory this one must nearly match.
    memory_twin: str | None = None
    # Whether the contenders print answers that can be compared.
    answers: bool = True

    @property
    def contenders(self) -> tuple[str, ...]:
        """List everything that runs, in the order of each round."""
        single = ("lossctl-single",) if self.thread_bar else ()
        limit = ("decode",) if self.decoded else ()
        return ("lossctl", *single, *self.rivals, *self.others, *limit)


PAIR = ("prediction", "target")
FIVE_COLUMNS = (*PAIR, "probability", "label")

JOBS = {
    "J1": Job("one loss", ("rows",), bar=1.0, decoded=PAIR, decode_bar=1.25),
    "J2": Job(
        "five losses in one pass",
        ("rows",),
        bar=1.0,
        decoded=FIVE_COLUMNS,
        thread_bar=1.7,
        memory_bar=400 * MEGABYTE,
        memory_twin="J2S",
    ),
    "J2S": Job("five losses, a tenth of the rows", ("rows_tenth",), rivals=()),
    "J3": Job(
        "five losses, standard errors and quantiles",
        ("rows",),
        others=("duckdb-approx",),
        bar=0.6,
        decoded=FIVE_COLUMNS,
    ),
    "J4": Job(
        "five losses by slice, 4 and 1,000 values",
        ("rows",),
        bar=1.2,
        decoded=(*FIVE_COLUMNS, "region", "shop"),
    ),
    "J5": Job("two losses from CSV", ("csv",), bar=1.0, decoded=PAIR),
    "J6": Job(
        "cross entropy of ten classes",
        ("classes",),
        bar=0.8,
        decoded=(*(f"p_{k}" for k in range(10)), "target"),
    ),
    "J7": Job(
        "two losses of 128-wide vectors",
        ("vectors",),
        others=("duckdb-float32", "polars-float32"),
        bar=0.5,
        decoded=("left", "right", "target", "sign"),
    ),
    "J8": Job(
        "small file, whole process",
        ("small",),
        rivals=("polars-import",),
        bar=1.0,
        allowance_s=0.1,
        answers=False,
    ),
    "J9": Job("five losses, the usual script", ("rows",), rivals=("pandas",), bar=0.25),
    "J10": Job(
        "one loss of two files paired by key",
        ("keyed_predictions", "keyed_targets"),
        rivals=("polars",),
        others=("duckdb",),
        bar=1.0,
        memory_bar=1_000 * MEGABYTE,
    ),
    "J11": Job(
        "two losses of every row to Parquet",
        ("rows",),
        rivals=("polars",),
        others=("polars-uncompressed",),
        bar=1.0,
        memory_bar=400 * MEGABYTE,
        answers=False,
    ),
}

PEER_SCRIPTS = {
    "duckdb": "duckdb_job.py",
    "polars": "polars_job.py",
    "pandas": "pandas_sklearn_job.py",
}


def command(
    name: str, contender: str, files: list[Path], threads: int, lossctl: Path | None
) -> list[str]:
    """Give the argument list of one contender for one job."""
    peer, _, variant = contender.partition("-")
    paths = [str(file) for file in files]
    if peer == "lossctl":
        words = LOSSCTL_COMMANDS[name].split()
        asked = 1 if variant == "single" else threads
        scores = files[0].with_name("scores-lossctl.parquet")
        facts = {"threads": asked, "scores": scores}
        return [str(lossctl), *(word.format(*paths, **facts) for word in words)]
    if contender == "polars-import":
        return [sys.executable, "-c", "import polars"]
    if peer == "decode":
        columns = ",".join(JOBS[name].decoded)
        return [sys.executable, str(PEERS / "pyarrow_decode.py"), str(threads), columns, *paths]
    script = str(PEERS / PEER_SCRIPTS[peer])
    return [sys.executable, script, f"{name}-{variant}" if variant else name, str(threads), *paths]
