"""Metrics against tables worked by hand."""

import json

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.robustness.composites import cue_to_core, length_check
from assay_pods.robustness.estimates import PROPORTION, Estimate, Level, estimate, group_estimates
from assay_pods.robustness.generation_counts import generation_estimate
from assay_pods.robustness.item_values import ItemValues
from assay_pods.robustness.metrics import DEGRADATION_METRICS, DERIVED_METRICS, GROUP_METRICS, Renders, Subject
from assay_pods.robustness.report_families import Cell, CellKey, Run
from assay_pods.robustness.report_items import read_table
from assay_pods.robustness.worst_group import worst_group

LEVEL = Level(0.95, "tests")
METRICS = {metric.name: metric for metric in (*GROUP_METRICS, *DERIVED_METRICS)}


def renders(scores=None, margins=None, classes=None, seeds=(1,)):
    """Renders from relation -> scores (or margins) of items 0, 1, ..., the same for every seed."""

    def values(table):
        return {
            relation: ItemValues.of({seed: {f"i{n:03d}": float(value) for n, value in enumerate(row)} for seed in seeds})
            for relation, row in (table or {}).items()
        }

    return Renders(tuple(seeds), values(scores), values(margins), classes or {})


def value(name, *args, **kwargs):
    return METRICS[name].estimate(Subject(*args, **kwargs), LEVEL).value


OWN = renders({"aligned": [1, 1, 1, 0, 0.5], "conflicting": [1, 0, 0, 1, 0.5], "neutral": [1, 1, 0, 0.5, 1]})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aligned", 3.5 / 5),
        ("conflicting", 2.5 / 5),
        ("neutral", 3.5 / 5),
        ("balanced", 6 / 10),
        ("gap", 1 / 5),
        ("reliance", (0 + 1 + 1 + 0 + 0.25) / 5),
        ("netReliance", 1 / 5),
    ],
)
def test_metric_equals_the_table(name, expected):
    assert value(name, OWN) == pytest.approx(expected)


def test_gaps_are_adjusted_pair_by_pair():
    control = renders({"aligned": [1, 1, 1, 1, 1], "conflicting": [1, 1, 0, 1, 1]})
    assert value("controlAdjustedGap", OWN, control=control) == pytest.approx(1 / 5 - 1 / 5)
    base = renders({"aligned": [0] * 5, "conflicting": [1] * 5})
    assert value("baseAdjustedGap", OWN, base=base) == pytest.approx(1 / 5 + 1)


def test_metrics_that_need_an_absent_model_are_absent():
    absent = ("controlAdjustedGap", "baseAdjustedGap", "coreMarginChange", "cueEffectChange")
    assert [METRICS[name].estimate(Subject(OWN), LEVEL) for name in absent] == [None] * 4
    assert all(metric.estimate(Subject(OWN), LEVEL) is None for metric in DEGRADATION_METRICS)


def test_margins_split_into_core_and_cue():
    own = renders(margins={"aligned": [5, 3], "conflicting": [1, -5]})
    base = renders(margins={"aligned": [2, 2], "conflicting": [2, 0]})
    assert value("coreMargin", own) == pytest.approx((3 - 1) / 2)
    assert value("cueEffect", own) == pytest.approx((2 + 4) / 2)
    assert value("coreMarginChange", own, base=base) == pytest.approx(1 - 1.5)
    assert value("cueEffectChange", own, base=base) == pytest.approx(3 - 0.5)


def test_degradation_is_the_lower_rate_minus_the_higher():
    end = renders({"aligned": [1] * 5, "conflicting": [0, 0, 0, 0, 0.5]})
    found = {metric.name: metric.estimate(Subject(OWN, end=end), LEVEL).value for metric in DEGRADATION_METRICS}
    assert found == pytest.approx({"degradation": (2.5 - 0.5) / 5, "overall": (6 - 5.5) / 10})


def test_an_empty_group_has_no_value_and_no_interval():
    assert METRICS["neutral"].estimate(Subject(renders({"aligned": [1]})), LEVEL) == Estimate(None, None, None, 0, 1, "none")


def test_one_item_has_an_interval_that_says_almost_nothing():
    one = renders({"aligned": [1], "conflicting": [0]})
    found = METRICS["gap"].estimate(Subject(one), LEVEL)
    assert (found.value, found.n) == (1.0, 1)
    assert found.low < 0


def test_all_ties_are_half_right_and_show_no_gap():
    ties = renders({"aligned": [0.5] * 40, "conflicting": [0.5] * 40})
    assert value("aligned", ties) == 0.5
    found = METRICS["gap"].estimate(Subject(ties), LEVEL)
    assert found.value == 0.0
    assert found.low < 0.0 < found.high


def test_items_that_do_not_pair_are_refused():
    lame = renders({"aligned": [1, 1], "conflicting": [1]})
    with pytest.raises(BadInputError, match="'i001' on one side only"):
        value("gap", lame)


def test_worst_group_is_the_lowest_of_the_groups_that_are_large_enough():
    classes = {f"i{n:03d}": "a" if n < 30 else "b" if n < 60 else "tiny" for n in range(65)}
    own = renders({"aligned": [1] * 65, "conflicting": [1] * 30 + [1] * 20 + [0] * 10 + [0] * 5}, classes=classes)
    found = worst_group(own, LEVEL)
    assert (found["group"], found["groups"], found["n"]) == ("conflicting/b", 4, 30)
    assert found["value"] == pytest.approx(20 / 30)
    alone = estimate(ItemValues.of({1: {str(n): value for n, value in enumerate([1.0] * 20 + [0.0] * 10)}}), PROPORTION, LEVEL)
    assert found["low"] < alone.low < found["value"] < alone.high < found["high"]


def test_no_group_is_large_enough_for_a_worst_group():
    assert worst_group(OWN, LEVEL) is None


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_cue_over_core_is_given_only_where_the_core_is_above_zero(seeds):
    firm = renders(margins={"aligned": [6, 5, 7, 6.5], "conflicting": [2, 2, 3, 1]}, seeds=seeds)
    found = cue_to_core(firm, LEVEL)
    assert found.value == pytest.approx((24.5 - 8) / (24.5 + 8))
    assert found.low < found.value < found.high
    lost = renders(margins={"aligned": [6, -5, 7, -6], "conflicting": [-6, 5, -7, 6]}, seeds=seeds)
    assert cue_to_core(lost, LEVEL) is None


def test_generated_text_is_counted_with_wilson_and_over_seeds_with_t():
    one = generation_estimate([{"items": 16, "passed": 15, "relation": "neutral"}], LEVEL)
    assert (one["value"], one["interval"], one["relation"]) == (15 / 16, "wilson", "neutral")
    two = generation_estimate([{"items": 16, "passed": passed, "relation": "neutral"} for passed in (16, 16)], LEVEL)
    assert two["value"] == 1.0
    assert two["low"] < 0.9
    assert generation_estimate([None, {"items": 0, "passed": 0, "relation": "neutral"}], LEVEL) is None


def check_of(folder, rows):
    """The length check of one run with these rows."""
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read_table("items:0", path)
    cell = Cell(("T", "FEATURE_AMBIGUITY"), CellKey("SFT", 0.1), None, (1,), (Run(1, path, table, "", {}),), ())
    return length_check(cell.renders("test"), table.unequal, table.tested)


def test_answers_of_unequal_length_are_counted_and_scored_by_mean_too(tmp_path):
    row = {"split": "test", "relation": "aligned", "logprobRejected": -10.0, "tokensRejected": 5}
    rows = [
        row | {"itemKey": "a", "logprobChosen": -12.0, "tokensChosen": 8, "margin": -2.0, "score": 0},
        row | {"itemKey": "b", "logprobChosen": -11.0, "tokensChosen": 5, "margin": -1.0, "score": 0},
    ]
    found = check_of(tmp_path, rows)
    assert (found["unequalItems"], found["items"]) == (1, 2)
    assert (found["accuracyByMean"], found["accuracyBySum"]) == ({"aligned": 0.5}, {"aligned": 0.0})
    assert found["disagreeing"] == ["aligned"]
    assert check_of(tmp_path, rows[1:]) is None


def test_group_estimates_keep_test_and_validation_apart():
    rows = [{"split": "test", "relation": "aligned", "score": score} for score in (1, 0.5)]
    rows += [{"split": "validation", "relation": "aligned", "score": 0}]
    found = group_estimates(rows)
    assert found["aligned"]["value"] == 0.75
    assert found["aligned"]["n"] == 2
    assert found["validation"]["aligned"]["value"] == 0.0
    assert "neutral" not in found
