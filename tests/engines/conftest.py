"""What the tests of the engines share: when an engine has learnt of a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from lossctl.engines import local

Outcomes = Iterator[tuple[int, object]]


@pytest.fixture
def when_a_failure_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[], None]], None]:
    """Give a function that has something called whenever an engine learns of a failed task."""
    settle = local.settle

    def install(call: Callable[[], None]) -> None:
        def settle_and_call(
            outcomes: Callable[[Mapping[int, BaseException]], Outcomes],
        ) -> Iterator[object]:
            def watched(failures: Mapping[int, BaseException]) -> Outcomes:
                for number, outcome in outcomes(failures):
                    if isinstance(outcome, BaseException):
                        call()
                    yield number, outcome

            return settle(watched)

        monkeypatch.setattr(local, "settle", settle_and_call)

    return install
