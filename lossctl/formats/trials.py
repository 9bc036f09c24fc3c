"""The self-test of a gate as a table."""

from __future__ import annotations

from collections.abc import Sequence

from lossctl.formats import Style
from lossctl.formats.table import draw as draw_table
from lossctl.gates.selftest import Trial


def draw(trials: Sequence[Trial]) -> str:
    """Give a line for each check: its false alarms, what it promises, and how often it passes."""
    shown = {
        "check": [trial.check.title for trial in trials],
        "limit": [f"{trial.check.limit:g}" for trial in trials],
        "draws": [str(trial.repetitions) for trial in trials],
        "false alarms": [_rate(trial.false_alarms, trial) for trial in trials],
        "promised": ["" if t.level is None else f"at most {t.level:.3g}" for t in trials],
        "passes": [_rate(trial.passes, trial) for trial in trials],
        "kept": ["yes" if trial.keeps_its_promise else "no" for trial in trials],
    }
    return draw_table(shown, Style())


def _rate(count: int, trial: Trial) -> str:
    return f"{count / trial.repetitions:.3g}"
