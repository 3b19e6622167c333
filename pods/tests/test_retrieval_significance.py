"""Tests of differences over queries: exact where that can be, equal to SciPy's and statsmodels', and calibrated where nothing is."""

import numpy as np
import pytest
from scipy import stats

from assay_pods.retrieval.significance import detectable, holm, mean_interval, paired, recovered, sign_flip

SMALL = [0.1, 0.2, 0.05, -0.02, 0.3]


def test_few_queries_are_tested_exactly():
    found = sign_flip(SMALL, 1)
    assert (found.p, found.exact, found.flips) == (4 / 32, True, 32)
    compared = paired(np.array(SMALL) + 0.5, np.full(5, 0.5), "small")
    assert (compared.p, compared.exact) == (0.125, True)
    assert compared.t == pytest.approx(2.235786, abs=1e-6)
    assert compared.t_p == pytest.approx(0.0890372, abs=1e-7)
    assert (compared.wins, compared.ties, compared.losses) == (4, 0, 1)


def test_many_queries_are_tested_by_draws_that_repeat_and_agree_with_scipys():
    differences = np.random.default_rng(4).normal(0.02, 0.1, 80)
    found = sign_flip(differences, 9)
    assert found == sign_flip(differences, 9)
    assert not found.exact
    how = {"permutation_type": "samples", "n_resamples": 99_999, "rng": np.random.default_rng(0)}
    reference = stats.permutation_test((differences,), np.mean, **how)
    assert found.p == pytest.approx(reference.pvalue, abs=0.006)


def test_no_difference_at_all_has_p_1_and_no_t():
    found = paired([0.5, 0.25, 1.0], [0.5, 0.25, 1.0], "equal")
    assert (found.delta, found.p, found.t, found.t_p, found.effect, found.ties) == (0.0, 1.0, None, None, None, 3)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)


def test_a_difference_of_the_last_bit_is_a_tie():
    base = np.array([0.1, 0.7, 0.3])
    found = paired((base + base + base) / 3, base, "over three seeds")
    assert ((base + base + base) / 3 != base).any(), "there is something to be passed over"
    assert (found.wins, found.ties, found.losses, found.delta, found.p) == (0, 3, 0, 0.0, 1.0)


def test_the_smallest_p_value_of_draws_is_never_0():
    assert sign_flip(np.ones(40), 2).p == 1 / 100_001


def test_false_positives_come_as_often_as_the_level_says():
    chance = np.random.default_rng(11)
    found = [sign_flip(chance.standard_t(3, 12), 0).p <= 0.05 for _ in range(400)]
    assert 0.02 <= np.mean(found) <= 0.08


def test_holms_correction_is_the_known_one():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


def test_intervals_hold_a_known_mean_about_as_often_as_they_say():
    chance = np.random.default_rng(3)
    held = []
    for place in range(150):
        found = mean_interval(chance.beta(0.5, 0.5, 60), f"case {place}")
        held.append(found.low is not None and found.high is not None and found.low <= 0.5 <= found.high)
    assert np.mean(held) >= 0.9


def test_what_can_be_detected_is_found_with_a_power_of_four_fifths():
    chance, spread, queries = np.random.default_rng(6), 0.1, 100
    effect = detectable(spread, queries)
    assert effect == pytest.approx(0.028)
    found = [stats.ttest_1samp(chance.normal(effect, spread, queries), 0).pvalue < 0.05 for _ in range(1_000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_a_recovered_share_needs_a_gain_and_may_leave_0_to_1():
    chance = np.random.default_rng(8)
    base = chance.uniform(0.2, 0.4, 60)
    expanded = base + chance.normal(0.2, 0.05, 60)
    half = recovered((base + expanded) / 2, base, expanded, "half")
    assert half is not None
    assert half.value == pytest.approx(0.5)
    assert half.interval.low == pytest.approx(0.5, abs=1e-9)
    worse = recovered(base - 0.1, base, expanded, "worse")
    assert worse is not None
    assert worse.value < 0
    assert recovered(expanded, base, base + chance.normal(0, 0.05, 60), "nothing") is None


@pytest.mark.parametrize(("first", "second"), [([0.5], [0.4]), ([0.5, 0.6], [0.4])])
def test_what_cannot_be_paired_is_refused(first, second):
    with pytest.raises(ValueError, match="same two or more queries"):
        paired(first, second, "wrong")
