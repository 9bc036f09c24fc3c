"""Layers: imports run one way, read from the sources, and start-up loads nothing heavy."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import lossctl

PACKAGE = Path(lossctl.__file__).parent

ABOVE = ("formats", "gates", "api", "cli")

LAYERS: Mapping[str, tuple[str, ...]] = {
    "record": (),
    "errors": (),
    "whole": (),
    "verdict": ("errors",),
    "results": ("stats",),
    "documents": ("results",),
    "report": ("documents", "frame", "results", "verdict"),
    "comparison": ("documents", "frame", "results"),
    "frame": (),
    "losses": ("errors",),
    "stats": (),
    "engines": ("errors",),
    "data": ("errors", "losses", "stats"),
    "catalogue": ("errors", "losses"),
    "contract": ("errors", "losses"),
    "schemas": ("errors",),
    "formats": (
        "errors",
        "results",
        "report",
        "comparison",
        "verdict",
        "losses",
        "catalogue",
        "contract",
        "schemas",
        "gates",
    ),
}
"""Module or package to the others that it may import. Those that are not named here are the
evaluation, which may import all but what stands above it, and the command line, which may all."""

FOR_ALL = "record"
"""How records are declared is for every layer to know."""

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "errors": (),
    "record": (),
    "whole": (),
    "verdict": (),
    "results": (),
    "documents": (),
    "report": (),
    "comparison": (),
    "frame": (),
    "losses": ("numpy",),
    "stats": ("numpy",),
    "engines": ("numpy",),
    "data": ("fsspec", "numpy", "pyarrow"),
    "gates": ("numpy",),
    "formats": ("rich", "pyarrow"),
    "api": ("numpy", "pyarrow"),
    "cli": ("rich", "typer"),
}
"""Module or package to the libraries that it may import; those not named here may only numpy."""

PANDAS_AT_HOME = ("frame", "frames")
"""The modules of the Python API that speak of frames, the only ones to know pandas."""


def imports_of(path: Path, package: Path) -> Iterator[str]:
    """Give the full names that a module imports anywhere in it, functions included."""
    parts = ("lossctl", *path.relative_to(package).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def faults(package: Path) -> list[str]:
    """Give every import that its layer forbids, as ``module imports name``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package)
        layer = module.parts[0].removesuffix(".py")
        for name in imports_of(path, package):
            if not _allowed(layer, name, package):
                found.append(f"{module} imports {name}")
    return found


def _allowed(layer: str, name: str, package: Path) -> bool:
    first, _, rest = name.partition(".")
    if first == "pandas":
        return layer in PANDAS_AT_HOME
    if first != "lossctl":
        return first in sys.stdlib_module_names or first in LIBRARIES.get(layer, ("numpy",))
    other, _, inner = rest.partition(".")
    if layer in (other, "__main__") or other == FOR_ALL or not _is_module(package, other):
        return True
    if other == "losses" and inner.startswith("_"):
        return False
    if layer in ("cli", "__init__"):
        return True
    return other in LAYERS[layer] if layer in LAYERS else other not in ABOVE


def _is_module(package: Path, name: str) -> bool:
    """Tell modules from the names that they define, which an import may name as well."""
    return bool(name) and ((package / name).is_dir() or (package / f"{name}.py").is_file())


def test_imports_run_one_way() -> None:
    """No module imports a layer above it, a private module of the losses, or pandas."""
    assert faults(PACKAGE) == []


PLANTS = {
    "losses/regression.py": "import pyarrow",
    "losses/_declare.py": "from lossctl import data",
    "losses/detection.py": "import lossctl.stats.exact",
    "stats/exact.py": "from lossctl.losses import REGISTRY",
    "stats/moments.py": "from lossctl.errors import LossctlError",
    "stats/tally.py": "import scipy",
    "engines/local.py": "from lossctl import losses",
    "errors.py": "from lossctl.report import Report",
    "data/chunks.py": "from lossctl.losses._logs import softplus",
    "data/csv.py": "import pandas as pd",
    "data/source.py": "from ..engines import local",
    "evaluate.py": "from lossctl.formats import json",
    "summarise.py": "import pyarrow",
    "formats/json.py": "from lossctl.evaluate import evaluate",
    "report.py": "def late() -> None:\n    import lossctl.evaluate",
    "cli/main.py": "from pandas import DataFrame",
}


def test_a_planted_import_is_found(tmp_path: Path) -> None:
    """The test above can fail: wrong lines in a copy of the package are named, each by itself."""
    copy = tmp_path / "lossctl"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    known = set(faults(copy))
    for path, line in PLANTS.items():
        with (copy / path).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{line}\n")
    planted = set(faults(copy)) - known
    assert {fault.partition(" ")[0] for fault in planted} == set(PLANTS)


HEAVY = ("numpy", "pandas", "pyarrow")

ASK = """
import sys
from lossctl.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["eval", "--help"], ["gate", "--help"], ["losses", "--help"]],
    ids=" ".join,
)
def test_help_is_shown_without_loading_what_it_does_not_need(arguments: list[str]) -> None:
    """Neither numpy nor pandas nor pyarrow stands between a user and the help."""
    command = [sys.executable, "-c", ASK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "lossctl" in done.stdout
    modules = done.stderr.split()
    assert "lossctl.cli.main" in modules
    assert [name for name in modules if name.partition(".")[0] in HEAVY] == []


def test_a_loss_is_evaluated_without_pandas(tmp_path: Path) -> None:
    """Pandas is no part of the way from a file to a number."""
    path = tmp_path / "rows.csv"
    path.write_text("prediction,target\n1,2\n", encoding="utf-8")
    command = [sys.executable, "-c", ASK, "eval", str(path), "-l", "mse", "-f", "value"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) == 1.0
    modules = done.stderr.split()
    assert "numpy" in modules
    assert "pandas" not in modules
