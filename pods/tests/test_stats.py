"""Intervals and tests against statsmodels, scipy and tables worked by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from assay_pods.common.stats import NUM_RESAMPLES, Bounds, Interval, bootstrap, bounded_mean, mcnemar_exact, seed_from, wilson
from assay_pods.common.stats_seeds import joint_sign_flip, nested, two_way

DIFFERENCE = Bounds(-1.0, 1.0, (-1.0, 1.0))


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 40), (40, 40), (90, 100), (19.5, 40), (180, 200)])
def test_wilson_equals_statsmodels_and_holds_its_value(successes, n):
    found = wilson(successes, n, 0.95)
    assert found == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)
    assert found.low <= successes / n <= found.high


def test_wilson_of_ninety_in_a_hundred_is_the_published_interval():
    assert wilson(90, 100, 0.95) == pytest.approx((0.826, 0.945), abs=5e-4)


def test_nothing_scored_has_no_interval_and_excludes_nothing():
    assert wilson(0, 0, 0.95) == Interval(None, None)
    assert bounded_mean(np.array([]), DIFFERENCE, 0.95) == Interval(None, None)
    assert Interval(None, None).includes(0.0)


def test_exact_mcnemar_equals_statsmodels_and_leaves_ties_out():
    first = [1, 1, 1, 1, 1, 1, 0, 0, 1, 0.5]
    second = [0, 0, 0, 0, 0, 1, 1, 0, 0, 1]
    found = mcnemar_exact(first, second)
    assert (found.only_first, found.only_second, found.ties) == (6, 1, 1)
    assert found.p_value == pytest.approx(mcnemar([[1, 1], [6, 1]], exact=True).pvalue)
    assert found.p_value == pytest.approx(2 * (1 + 7) / 2**7)


def test_mcnemar_of_ties_alone_has_no_p_value():
    assert mcnemar_exact([0.5], [1.0]).p_value is None


@pytest.mark.parametrize(("only_first", "only_second", "both"), [(0, 0, 60), (60, 0, 0), (5, 1, 54), (1, 0, 0)])
def test_paired_difference_equals_the_formula_of_bonett_and_price(only_first, only_second, both):
    n = only_first + only_second + both
    values = np.array([1.0] * only_first + [-1.0] * only_second + [0.0] * both)
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = scipy_stats.norm.ppf(0.975) * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    expected = (max(-1.0, first - second - half), min(1.0, first - second + half))
    assert bounded_mean(values, DIFFERENCE, 0.95) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_items_that_all_agree_have_a_wide_interval_that_holds_them(value):
    found = bounded_mean(np.full(60, value), DIFFERENCE, 0.95)
    assert found.includes(value)
    assert found.high - found.low > 0.04


def test_bootstrap_equals_scipy_for_both_kinds():
    values = np.random.default_rng(3).exponential(size=50)
    found = bootstrap([values], np.mean, 0.95, seed=11)
    for method, interval in (("percentile", found.percentile), ("BCa", found.bca)):
        options = {"n_resamples": NUM_RESAMPLES, "confidence_level": 0.95, "method": method}
        expected = scipy_stats.bootstrap((values,), np.mean, rng=np.random.default_rng(11), **options).confidence_interval
        assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bootstrap_of_one_item_or_of_equal_items():
    assert bootstrap([np.array([2.0])], np.mean, 0.95, seed=1).percentile == Interval(None, None)
    assert bootstrap([np.array([2.0, 2.0])], np.mean, 0.95, seed=1).percentile == Interval(2.0, 2.0)


def test_the_seed_of_resampling_depends_on_its_parts_and_their_borders():
    assert seed_from("a", "b") == seed_from("a", "b")
    assert len({seed_from("a", "b"), seed_from("ab"), seed_from("b", "a")}) == 3


def test_two_way_interval_equals_the_formula_worked_by_hand():
    values = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]])
    # seed means 2 and 5, item means 2, 3, 5.5, mean 3.5; residuals +-(.5, .5, -1).
    v_seed, v_item, v_residual = 4.5 / 2, 3.25 / 3, (2 * 1.5 / 2) / 6
    of_seeds = scipy_stats.t.ppf(0.975, 1) ** 2 * (v_seed - v_residual)
    half = math.sqrt(of_seeds + scipy_stats.t.ppf(0.975, 2) ** 2 * v_item)
    assert two_way(values, 0.95) == pytest.approx((3.5 - half, 3.5 + half))


def test_two_way_variance_is_at_least_its_larger_term():
    values = np.array([[1.0, -1.0], [-1.0, 1.0]])  # residuals only: nothing is left to the seeds
    assert two_way(values, 0.95) == (0.0, 0.0)
    seeds_only = np.array([[0.0, 0.0], [1.0, 1.0]])
    half = scipy_stats.t.ppf(0.975, 1) * 0.5
    assert two_way(seeds_only, 0.95) == pytest.approx((0.5 - half, 0.5 + half))


def test_scores_that_agree_over_all_seeds_keep_a_width():
    found = two_way(np.ones((6, 60)), 0.95, DIFFERENCE)
    assert found.includes(1.0)
    assert found.high - found.low > 0.04


def test_two_way_of_one_item_has_no_interval():
    assert two_way(np.ones((3, 1)), 0.95, DIFFERENCE) == Interval(None, None)


def test_nested_items_give_the_t_interval_over_seed_means():
    per_seed = [np.array([0.0, 1.0]), np.array([1.0]), np.array([0.25])]
    means = [0.5, 1.0, 0.25]
    expected = scipy_stats.t.interval(0.95, 2, np.mean(means), scipy_stats.sem(means))
    assert nested(per_seed, 0.95) == pytest.approx(expected)
    assert nested([np.array([]), np.array([1.0])], 0.95) == Interval(None, None)


def test_sign_flip_is_the_enumeration_of_all_joint_flips():
    contrasts = np.array([[0.9, 1.1, 1.0, 0.8, 1.2, 1.0], [0.5, -0.4, 0.1, 0.3, -0.2, 0.2]])
    found = joint_sign_flip(contrasts)
    squares = (contrasts**2).mean(axis=1)
    scale = np.sqrt(0.5 * squares + 0.5 * squares.mean())
    observed = np.abs(contrasts.mean(axis=1)) / scale
    largest = [max(np.abs((contrasts * signs).mean(axis=1)) / scale) for signs in itertools.product((1, -1), repeat=6)]
    assert found.adjusted_p == pytest.approx([np.mean([one >= seen - 1e-12 for one in largest]) for seen in observed])
    assert found.adjusted_p[0] == pytest.approx(2 / 64) == found.smallest_p


def test_sign_flip_equals_scipy_for_one_contrast():
    contrast = np.array([0.4, 0.1, -0.2, 0.5, 0.3, 0.2, 0.6])
    expected = scipy_stats.permutation_test((contrast,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert joint_sign_flip(contrast[None, :]).adjusted_p == pytest.approx([expected])


@pytest.mark.parametrize(("num_seeds", "smallest"), [(1, "1"), (3, "0.25"), (5, "0.0625")])
def test_fewer_than_six_seeds_get_no_p_value_but_a_reason(num_seeds, smallest):
    found = joint_sign_flip(np.ones((3, num_seeds)))
    assert found.adjusted_p is None
    assert f"cannot reach significance with {num_seeds} seed" in found.note
    assert found.note.endswith(f"2/2^{num_seeds} = {smallest}")


def test_many_seeds_are_flipped_at_random_and_never_reach_below_one_flips_share():
    found = joint_sign_flip(np.ones((1, 20)))
    assert found.smallest_p == 1 / 20_001
    assert found.smallest_p <= found.adjusted_p[0] < 0.001


def test_contrasts_that_are_all_zero_are_not_significant():
    assert joint_sign_flip(np.zeros((2, 6))).adjusted_p == [1.0, 1.0]
