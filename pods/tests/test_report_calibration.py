"""Intervals hold the truth as often as they say, tests reject what is not there as seldom as they say, and power is as foretold."""

import pytest

from tests.calibration import ONE_SEED, POWERED, SEVERAL_SEEDS, Sizes, coverage, false_positives, power_of, slice_coverage

EXPERIMENTS = 1000
NOISE = 0.007
"""One standard error of a coverage of .95 over 1,000 experiments; bands are widened by it."""


@pytest.mark.parametrize(("truth", "seeds"), [(ONE_SEED, 1), (SEVERAL_SEEDS, 3), (SEVERAL_SEEDS, 6)])
def test_intervals_hold_the_truth_as_often_as_they_say(truth, seeds):
    found = coverage(truth, Sizes(seeds, 60), EXPERIMENTS)
    assert {name: share for name, share in found.items() if not 0.93 - NOISE <= share <= 0.97 + NOISE} == {}


@pytest.mark.parametrize(("truth", "seeds"), [(ONE_SEED, 1), (SEVERAL_SEEDS, 3), (SEVERAL_SEEDS, 6)])
def test_intervals_over_slices_that_go_round_with_the_seed_are_never_too_narrow(truth, seeds):
    found = slice_coverage(truth, Sizes(seeds, 20), EXPERIMENTS)
    assert {name: share for name, share in found.items() if share < 0.93 - NOISE} == {}


def test_an_interval_that_forgets_the_seeds_would_be_caught():
    """Items alone miss the truth when checkpoints differ: the band above is narrow enough to see it."""
    assert coverage(SEVERAL_SEEDS, Sizes(1, 60), 100)["cueEffect"] < 0.6


@pytest.mark.parametrize(("seeds", "family"), [(6, 3), (6, 18), (8, 18)])
def test_joint_sign_flip_seldom_finds_what_is_not_there(seeds, family):
    assert false_positives(seeds, family, EXPERIMENTS) <= 0.06


@pytest.mark.parametrize("sizes", POWERED)
def test_power_is_what_was_foretold(sizes):
    found = power_of(POWERED[sizes], sizes, EXPERIMENTS)
    assert found.found == pytest.approx(found.foretold, abs=0.05)
