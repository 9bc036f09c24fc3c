"""The wheel holds the program, what it reads and its manual, and nothing of the workshop."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import lossctl

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(path)


def test_the_manual_is_installed_where_man_looks(wheel: zipfile.ZipFile) -> None:
    """Every page lies under ``share/man`` as it does here, and the script that makes them not."""
    data = f"lossctl-{lossctl.__version__}.data/data/share/man/"
    installed = {
        name.removeprefix(data): wheel.read(name) for name in wheel.namelist() if "/share/" in name
    }
    pages = (ROOT / "man").glob("man?/*")
    assert installed == {str(page.relative_to(ROOT / "man")): page.read_bytes() for page in pages}
    assert "man1/lossctl.1" in installed


def test_the_package_is_whole_and_alone(wheel: zipfile.ZipFile) -> None:
    """The schema and the mark of type hints come along, tests and sample data stay behind."""
    folders = {name.partition("/")[0] for name in wheel.namelist()}
    assert folders == {"lossctl"} | {
        f"lossctl-{lossctl.__version__}.{kind}" for kind in ("data", "dist-info")
    }
    assert {"lossctl/schemas/report.json", "lossctl/py.typed"} <= set(wheel.namelist())
    entry_points = wheel.read(f"lossctl-{lossctl.__version__}.dist-info/entry_points.txt")
    assert b"lossctl = lossctl.cli.main:main" in entry_points
