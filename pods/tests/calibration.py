"""Simulated experiments with a known truth, measured by the metrics that the report uses.

`python -m tests.calibration [number of experiments]`, run in `pods`, writes the coverage of the intervals and the rate of
false positives of the joint sign-flip test (over ten times as many, since they cost little); 1000 experiments are the
default. Margins are normal around core C_i and cue effect E_i, which vary over items and seeds, so that the truth has a
closed form.
"""

import math
import sys
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from assay_pods.common.stats_seeds import joint_sign_flip
from assay_pods.robustness.estimates import Level
from assay_pods.robustness.item_values import ItemValues
from assay_pods.robustness.metrics import DERIVED_METRICS, GROUP_METRICS, Renders, Subject

METRICS = {metric.name: metric for metric in (*GROUP_METRICS, *DERIVED_METRICS)}
CHECKED = ("conflicting", "balanced", "gap", "controlAdjustedGap", "coreMargin", "cueEffect")


class Truth(NamedTuple):
    """Means of core and cue (at rho and at 0), and the standard deviations over items, over seeds and of a single margin."""

    core: float
    cue: float
    control_cue: float
    item_sd: float
    seed_sd: float
    noise_sd: float

    @property
    def margin_sd(self) -> float:
        """Standard deviation of a margin over all experiments; core and cue vary alike."""
        return math.sqrt(2 * self.item_sd**2 + 2 * self.seed_sd**2 + self.noise_sd**2)

    def values(self) -> dict[str, float]:
        """What the metrics estimate."""
        aligned, conflicting = (float(norm.cdf((self.core + sign * self.cue) / self.margin_sd)) for sign in (1, -1))
        at_zero = [float(norm.cdf((self.core + sign * self.control_cue) / self.margin_sd)) for sign in (1, -1)]
        found = {"conflicting": conflicting, "balanced": (aligned + conflicting) / 2, "gap": aligned - conflicting}
        return found | {
            "controlAdjustedGap": aligned - conflicting - at_zero[0] + at_zero[1],
            "coreMargin": self.core,
            "cueEffect": self.cue,
        }


ONE_SEED = Truth(core=2.0, cue=1.5, control_cue=0.2, item_sd=1.5, seed_sd=0.0, noise_sd=0.5)
SIX_SEEDS = Truth(core=2.0, cue=1.5, control_cue=0.2, item_sd=1.5, seed_sd=0.7, noise_sd=0.5)


def experiment(truth: Truth, num_seeds: int, num_items: int, rng: np.random.Generator) -> Subject:
    """One experiment: a cell and its control at rho = 0 over the same items."""
    core_items, cue_items = truth.item_sd * rng.standard_normal((2, num_items))

    def cell(cue: float) -> Renders:
        core_seeds, cue_seeds = truth.seed_sd * rng.standard_normal((2, num_seeds, 1))
        cores, cues = truth.core + core_items + core_seeds, cue + cue_items + cue_seeds
        noise = truth.noise_sd * rng.standard_normal((2, num_seeds, num_items))
        margins = {"aligned": cores + cues + noise[0], "conflicting": cores - cues + noise[1]}
        scored = {relation: (values > 0).astype(float) for relation, values in margins.items()}
        tables = [{relation: _items(values) for relation, values in one.items()} for one in (scored, margins)]
        return Renders(tuple(range(num_seeds)), tables[0], tables[1])

    return Subject(cell(truth.cue), control=cell(truth.control_cue))


def coverage(truth: Truth, num_seeds: int, num_experiments: int, num_items: int = 60) -> dict[str, float]:
    """The share of experiments whose 95 % interval holds the truth, for each checked metric."""
    values, rng = truth.values(), np.random.default_rng([num_seeds, num_items])
    held = dict.fromkeys(CHECKED, 0)
    for number in range(num_experiments):
        subject = experiment(truth, num_seeds, num_items, rng)
        for name in CHECKED:
            found = METRICS[name].estimate(subject, Level(0.95, f"calibration/{number}"))
            held[name] += found is not None and found.interval.includes(values[name])
    return {name: count / num_experiments for name, count in held.items()}


def false_positives(num_seeds: int, family_size: int, num_experiments: int) -> float:
    """The share of experiments without any effect in which the joint sign-flip test rejects something at .05."""
    rng = np.random.default_rng([num_seeds, family_size])
    rejected = 0
    for _ in range(num_experiments):
        shared = rng.standard_normal(num_seeds)
        family = 0.7 * shared + rng.standard_normal((family_size, num_seeds)) * np.linspace(0.5, 2.0, family_size)[:, None]
        adjusted = joint_sign_flip(family).adjusted_p
        rejected += adjusted is not None and min(adjusted) <= 0.05
    return rejected / num_experiments


def _items(values: np.ndarray) -> ItemValues:
    return ItemValues.of({seed: {f"i{n:04d}": float(value) for n, value in enumerate(row)} for seed, row in enumerate(values)})


def main(num_experiments: int) -> None:
    """Writes the calibration as lines of text."""
    for label, truth, num_seeds in (("one seed", ONE_SEED, 1), ("six seeds", SIX_SEEDS, 6)):
        for name, share in coverage(truth, num_seeds, num_experiments).items():
            sys.stdout.write(f"{label:10} {name:20} coverage {share:.3f}\n")
    for num_seeds in (6, 8):
        share = false_positives(num_seeds, 3, 10 * num_experiments)
        sys.stdout.write(f"{num_seeds} seeds    family of 3          false positives {share:.3f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
