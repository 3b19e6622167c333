"""Simulated experiments with a known truth, measured by the metrics and tests that the report uses.

`python -m tests.calibration [number of experiments]`, run in `pods`, writes the coverage of the intervals, the rate of false positives
of the joint sign-flip test and the power beside what `stats_power` foretells; 1000 experiments are the default. Margins are
normal around core C_i and cue effect E_i, which vary over items and seeds, so that the truth has a closed form. Slices differ in
difficulty, and which one is narrow and which is never trained goes round with the seed.
"""

import itertools
import math
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from assay_pods.common.stats_power import Design, power
from assay_pods.robustness.estimates import Level
from assay_pods.robustness.item_values import Column, ItemValues
from assay_pods.robustness.metrics import (
    DEGRADATION_METRICS,
    DERIVED_METRICS,
    GROUP_METRICS,
    SLICE_DERIVED_METRICS,
    SLICE_GROUP_METRICS,
    Metric,
    Renders,
    Subject,
)
from assay_pods.robustness.report_contrasts import Contrast, tested

METRICS = {metric.name: metric for metric in (*GROUP_METRICS, *DERIVED_METRICS)}
SLICE_METRICS = {metric.name: metric for metric in (*SLICE_GROUP_METRICS, *SLICE_DERIVED_METRICS)}
DEGRADATION = DEGRADATION_METRICS[0]
CHECKED = ("conflicting", "balanced", "gap", "controlAdjustedGap", "coreMargin", "cueEffect")
SLICE_CHECKED = ("inSlice", "outSlice", "gap", "controlAdjustedGap", "coreMargin")
NUM_SLICES = 7
SLICE_SD = 0.8


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

    def conflicting(self, cue: float) -> float:
        """The true conflicting accuracy of a cell with this cue effect."""
        return float(norm.cdf((self.core - cue) / self.margin_sd))

    def values(self) -> dict[str, float]:
        """What the metrics estimate."""
        aligned, conflicting = self.conflicting(-self.cue), self.conflicting(self.cue)
        at_zero = self.conflicting(-self.control_cue) - self.conflicting(self.control_cue)
        found = {"conflicting": conflicting, "balanced": (aligned + conflicting) / 2, "gap": aligned - conflicting}
        return found | {"controlAdjustedGap": aligned - conflicting - at_zero, "coreMargin": self.core, "cueEffect": self.cue}


ONE_SEED = Truth(core=2.0, cue=1.5, control_cue=0.2, item_sd=1.5, seed_sd=0.0, noise_sd=0.5)
SEVERAL_SEEDS = Truth(core=2.0, cue=1.5, control_cue=0.2, item_sd=1.5, seed_sd=0.7, noise_sd=0.5)


class Sizes(NamedTuple):
    """Seeds, and test items of a relation (of slices: of each slice)."""

    seeds: int
    items: int


def experiment(truth: Truth, sizes: Sizes, rng: np.random.Generator) -> Subject:
    """One experiment: a cell, its control at rho = 0 and a cell at a higher rate, all over the same items."""
    core_items, cue_items = truth.item_sd * rng.standard_normal((2, sizes.items))

    def cell(cue: float) -> Renders:
        core_seeds, cue_seeds = truth.seed_sd * rng.standard_normal((2, sizes.seeds, 1))
        cores, cues = truth.core + core_items + core_seeds, cue + cue_items + cue_seeds
        noise = truth.noise_sd * rng.standard_normal((2, sizes.seeds, sizes.items))
        return renders_of({"aligned": cores + cues + noise[0], "conflicting": cores - cues + noise[1]})

    return Subject(cell(truth.cue), control=cell(truth.control_cue))


def renders_of(margins: dict[str, np.ndarray]) -> Renders:
    """Renders from seeds x items of margins, all seeds over the same items."""
    seeds, items = next(iter(margins.values())).shape
    keys = tuple(f"i{n:04d}" for n in range(items))

    def values(table: np.ndarray) -> ItemValues:
        return ItemValues({seed: Column(keys, row) for seed, row in enumerate(table)})

    scores = {relation: values((table > 0).astype(float)) for relation, table in margins.items()}
    return Renders(tuple(range(seeds)), scores, {relation: values(table) for relation, table in margins.items()})


def sliced(truth: Truth, sizes: Sizes, drawn: tuple[np.ndarray, np.random.Generator]) -> Subject:
    """One experiment with slices: items of one slice share its difficulty, and each seed has another narrow and another unseen slice.

    Being the narrow slice adds `cue` to a margin, being another trained one takes it away.
    """
    difficulty, rng = drawn
    cores = truth.core + difficulty + truth.item_sd * rng.standard_normal((NUM_SLICES, sizes.items))
    spots = [tuple(f"s{one}-{n:04d}" for n in range(sizes.items)) for one in range(NUM_SLICES)]

    def cell(cue: float) -> Renders:
        found: dict[str, dict[int, Column]] = {"in_slice": {}, "out_slice": {}, "unseen_slice": {}}
        for seed in range(sizes.seeds):
            narrow, unseen = seed % NUM_SLICES, (seed + 1) % NUM_SLICES
            own, lean = truth.seed_sd * rng.standard_normal(2)
            margins = cores + own + truth.noise_sd * rng.standard_normal(cores.shape)
            roles = {"in_slice": [narrow], "unseen_slice": [unseen]}
            roles["out_slice"] = [one for one in range(NUM_SLICES) if one not in (narrow, unseen)]
            for relation, slices in roles.items():
                effect = {"in_slice": cue + lean, "out_slice": -cue - lean}.get(relation, 0.0)
                keys = tuple(key for one in slices for key in spots[one])
                found[relation][seed] = Column(keys, margins[slices].ravel() + effect)
        margins_of = {relation: ItemValues(columns) for relation, columns in found.items()}
        scores = {
            relation: ItemValues({seed: Column(column.keys, (column.values > 0).astype(float)) for seed, column in columns.items()})
            for relation, columns in found.items()
        }
        return Renders(tuple(range(sizes.seeds)), scores, margins_of)

    return Subject(cell(truth.cue), control=cell(truth.control_cue))


def slice_values(truth: Truth, difficulty: np.ndarray) -> dict[str, float]:
    """What the slice metrics estimate: over seeds and items, for just these slices, each in each role equally often."""
    sd = math.sqrt(truth.item_sd**2 + 2 * truth.seed_sd**2 + truth.noise_sd**2)
    cores = truth.core + difficulty.ravel()
    means = {cue: [float(norm.cdf((cores + sign * cue) / sd).mean()) for sign in (1, -1)] for cue in (truth.cue, truth.control_cue)}
    (inside, outside), (inside_zero, outside_zero) = means[truth.cue], means[truth.control_cue]
    found = {"inSlice": inside, "outSlice": outside, "gap": inside - outside, "coreMargin": float(cores.mean())}
    return found | {"controlAdjustedGap": inside - outside - inside_zero + outside_zero}


def coverage(truth: Truth, sizes: Sizes, num_experiments: int) -> dict[str, float]:
    """The share of experiments whose 95 % interval holds the truth, for each checked metric."""
    rng = np.random.default_rng(list(sizes))
    wanted = {name: (METRICS[name], truth.values()[name]) for name in CHECKED}
    return _held((experiment(truth, sizes, rng), wanted) for _ in range(num_experiments))


def slice_coverage(truth: Truth, sizes: Sizes, num_experiments: int) -> dict[str, float]:
    """The same where slices go round with the seed."""
    rng = np.random.default_rng([7, *sizes])
    wanted = (
        (subject, {name: (SLICE_METRICS[name], values[name]) for name in SLICE_CHECKED}) for subject, values in _sliced(truth, sizes, rng)
    )
    return _held(itertools.islice(wanted, num_experiments))


def _sliced(truth: Truth, sizes: Sizes, rng: np.random.Generator) -> Iterator[tuple[Subject, dict[str, float]]]:
    while True:
        # One seed speaks of its own slices only, so that there nothing varies between slices.
        difficulty = (SLICE_SD if sizes.seeds > 1 else 0.0) * rng.standard_normal((NUM_SLICES, 1))
        yield sliced(truth, sizes, (difficulty, rng)), slice_values(truth, difficulty)


def _held(measured: Iterable[tuple[Subject, dict[str, tuple[Metric, float]]]]) -> dict[str, float]:
    held: dict[str, int] = {}
    count = 0
    for subject, wanted in measured:
        count += 1
        for name, (metric, value) in wanted.items():
            found = metric.estimate(subject, Level(0.95, f"calibration/{count}"))
            held[name] = held.get(name, 0) + (found is not None and found.interval.includes(value))
    return {name: one / count for name, one in held.items()}


def false_positives(num_seeds: int, family_size: int, num_experiments: int) -> float:
    """The share of experiments without any effect in which the report's joint test rejects something at .05."""
    rng = np.random.default_rng([num_seeds, family_size])
    rejected = 0
    for _ in range(num_experiments):
        shared = rng.standard_normal(num_seeds)
        family = 0.7 * shared + rng.standard_normal((family_size, num_seeds)) * np.linspace(0.5, 2.0, family_size)[:, None]
        contrasts = [Contrast({}, _single(row)) for row in family]
        found = [one.row["adjustedP"] for one in tested(contrasts)[0]]
        rejected += any(one is not None and one <= 0.05 for one in found)
    return rejected / num_experiments


def _single(row: np.ndarray) -> ItemValues:
    return ItemValues({seed: Column(("i",), row[seed : seed + 1]) for seed in range(len(row))})


class Power(NamedTuple):
    """The share of experiments that showed the effect, and what was foretold from the true standard deviations."""

    found: float
    foretold: float


def power_of(truth: Truth, sizes: Sizes, num_experiments: int) -> Power:
    """How often the interval of the degradation excludes 0, from `control_cue` to `cue`; n and the spread as planned."""
    rng = np.random.default_rng([11, *sizes])
    effect = truth.conflicting(truth.control_cue) - truth.conflicting(truth.cue)
    found = 0
    for number in range(num_experiments):
        pair = experiment(truth, sizes, rng)
        assert pair.control is not None
        one = DEGRADATION.estimate(Subject(pair.control, end=pair.own), Level(0.95, f"power/{number}"))
        found += one is not None and one.excludes(0.0)
    return Power(found / num_experiments, power(effect, _design(truth, sizes)))


def _design(truth: Truth, sizes: Sizes) -> Design:
    """The true standard deviations of the contrast, from many seeds and items drawn once."""
    whole = experiment(truth, Sizes(2000, 600), np.random.default_rng(5))
    assert whole.control is not None
    table = np.stack((whole.control.score("conflicting") - whole.own.score("conflicting")).arrays())
    seed_means, item_means = table.mean(axis=1), table.mean(axis=0)
    residual = table - seed_means[:, None] - item_means[None, :] + table.mean()
    of_residual = float((residual**2).mean())
    return Design(*sizes, float(seed_means.std()), math.sqrt(float(item_means.var()) + of_residual / sizes.seeds))


POWERED = {
    Sizes(1, 100): ONE_SEED._replace(cue=1.2, control_cue=0.6),
    Sizes(3, 100): SEVERAL_SEEDS._replace(cue=2.2, seed_sd=0.3),
    Sizes(6, 100): SEVERAL_SEEDS._replace(core=1.0, cue=1.2, control_cue=0.2, seed_sd=0.5),
    Sizes(10, 60): SEVERAL_SEEDS._replace(cue=1.3, control_cue=0.4, seed_sd=0.6),
}


def main(num_experiments: int) -> None:
    """Writes the calibration as lines of text."""
    started = time.process_time()
    for truth, seeds in ((ONE_SEED, 1), (SEVERAL_SEEDS, 3), (SEVERAL_SEEDS, 6)):
        for name, share in coverage(truth, Sizes(seeds, 60), num_experiments).items():
            sys.stdout.write(f"{seeds:2} seeds  cue     {name:20} coverage {share:.3f}\n")
    for truth, seeds in ((ONE_SEED, 1), (SEVERAL_SEEDS, 3), (SEVERAL_SEEDS, 6)):
        for name, share in slice_coverage(truth, Sizes(seeds, 20), num_experiments).items():
            sys.stdout.write(f"{seeds:2} seeds  slices  {name:20} coverage {share:.3f}\n")
    for seeds, family in ((6, 3), (6, 18), (8, 18)):
        sys.stdout.write(f"{seeds:2} seeds  family of {family:2}  false positives {false_positives(seeds, family, num_experiments):.3f}\n")
    for sizes, truth in POWERED.items():
        found = power_of(truth, sizes, num_experiments)
        sys.stdout.write(f"{sizes.seeds:2} seeds  {sizes.items} items  power {found.found:.3f}, foretold {found.foretold:.3f}\n")
    sys.stdout.write(f"{num_experiments} experiments each, {time.process_time() - started:.0f} s CPU\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
