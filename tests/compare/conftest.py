"""What the tests of comparisons share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lossctl.compare import Method, compare, plan_comparison
from lossctl.comparison import Comparison
from lossctl.data.binding import Choices
from lossctl.data.source import open_source
from lossctl.documents import digest
from lossctl.losses import parse
from lossctl.plan import Policies

SCHEMA = Path(__file__).parents[2] / "lossctl/schemas/comparison.json"


@pytest.fixture(scope="session")
def check_comparison() -> Callable[[dict[str, Any]], None]:
    """Check a comparison in JSON against its schema, its counts and its digest."""
    import json

    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))

    def check(found: dict[str, Any]) -> None:
        validator.validate(found)
        for result in found["results"]:
            assert (result["difference"] is None) <= (result["reason"] is not None)
            assert (result["p_value"] is None) == (result["verdict"] == "not judged")
            assert (result["p_value"] is None) == (result["reason"] is not None)
            assert (result["relative_difference"] is None) == (
                result["relative_reason"] is not None
            )
        stable = {name: part for name, part in found.items() if name not in ("digest", "run")}
        assert digest(stable) == found["digest"]

    return check


@pytest.fixture
def contest(check_comparison: Callable[[dict[str, Any]], None]) -> Callable[..., Comparison]:
    """Compare files, or columns of one, by some losses."""

    def run(
        specs: str,
        *paths: Path | str,
        targets: Path | str | None = None,
        preds: Sequence[str] = (),
        method: Method | None = None,
        **policies: Any,
    ) -> Comparison:
        plan = plan_comparison(
            [open_source(str(path)) for path in paths],
            None if targets is None else open_source(str(targets)),
            parse([specs]),
            Choices({}),
            Policies(**policies),
            method or Method(),
            preds=preds,
        )
        found = compare(plan)
        check_comparison(found.to_dict())
        return found

    return run
