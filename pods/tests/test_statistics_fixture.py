"""The fixture that the TypeScript statistics are held to says what SciPy, statsmodels and our own modules say today."""

import json
from typing import Any

import pytest
from statistics_fixture import FIXTURE, build


def test_the_committed_fixture_holds_the_figures_of_today() -> None:
    """Everything that goes in is equal, everything that comes out to 1e-9."""
    committed: dict[str, Any] = json.loads(FIXTURE.read_text(encoding="utf-8"))
    _compare(committed, build(), "")


def test_a_wrong_figure_in_the_fixture_is_found() -> None:
    """One interval end moved by 1e-6 is told with its place."""
    planted: dict[str, Any] = json.loads(FIXTURE.read_text(encoding="utf-8"))
    planted["twoWay"][3]["low"] += 1e-6
    with pytest.raises(AssertionError, match=r"/twoWay/3/low"):
        _compare(planted, build(), "")


def _compare(one: Any, other: Any, place: str) -> None:
    if isinstance(other, dict):
        assert list(one) == list(other), place
        for name in other:
            _compare(one[name], other[name], f"{place}/{name}")
    elif isinstance(other, list):
        assert len(one) == len(other), place
        for index, item in enumerate(other):
            _compare(one[index], item, f"{place}/{index}")
    elif isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12), place
    else:
        assert one == other, place
