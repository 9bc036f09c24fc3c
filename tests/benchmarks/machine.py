"""Describe the machine and the versions that a result belongs to."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("duckdb", "polars", "pandas", "scikit-learn", "pyarrow", "numpy")


def describe(lossctl: Path) -> dict[str, str]:
    """Give processor, cores, memory, system and versions, each as text to print."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "lossctl": _lossctl_version(lossctl),
        **{package: _version(package) for package in PACKAGES},
    }


def _lossctl_version(lossctl: Path) -> str:
    """Ask the executable itself: it need not be of this Python's environment."""
    if not lossctl.exists():
        return "not installed"
    argv = [str(lossctl), "--version"]
    answer = subprocess.run(argv, capture_output=True, check=True, text=True)
    return answer.stdout.strip().removeprefix("lossctl ")


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
