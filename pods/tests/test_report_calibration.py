"""Intervals hold the truth about as often as they say. The bands allow for the noise of a few hundred experiments."""

import pytest

from tests.calibration import ONE_SEED, SIX_SEEDS, coverage, false_positives


@pytest.mark.parametrize(("truth", "num_seeds"), [(ONE_SEED, 1), (SIX_SEEDS, 6)])
def test_intervals_hold_the_truth_as_often_as_they_say(truth, num_seeds):
    found = coverage(truth, num_seeds, num_experiments=300)
    assert {name: share for name, share in found.items() if not 0.91 <= share <= 0.99} == {}


def test_an_interval_that_forgets_the_seeds_would_be_caught():
    """Items alone miss the truth when checkpoints differ: the band above is narrow enough to see it."""
    assert coverage(SIX_SEEDS, 1, num_experiments=100)["cueEffect"] < 0.6


def test_joint_sign_flip_seldom_finds_what_is_not_there():
    assert false_positives(num_seeds=6, family_size=3, num_experiments=300) <= 0.06
