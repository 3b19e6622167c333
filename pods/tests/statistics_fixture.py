"""Figures of SciPy and statsmodels, and of `assay_pods.common.stats*`, that the TypeScript statistics are held to.

`python tests/statistics_fixture.py` writes test/support/statistics-fixture.json; test_statistics_fixture.py holds that file to them.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from assay_pods.common.stats import NUM_RESAMPLES, Bounds, bounded_mean, mcnemar_exact, wilson
from assay_pods.common.stats_power import Design, power, smallest_effect
from assay_pods.common.stats_seeds import joint_sign_flip, nested, two_way
from assay_pods.robustness.estimates import DIFFERENCE, DOUBLE_DIFFERENCE

FIXTURE = Path(__file__).parents[2] / "test" / "support" / "statistics-fixture.json"
_WORD = 2**32
BOUNDS: dict[str, Bounds | None] = {"difference": DIFFERENCE, "doubleDifference": DOUBLE_DIFFERENCE, "none": None}


def build() -> dict[str, Any]:
    """All cases: what goes in and what must come out."""
    rng = np.random.default_rng(20260101)
    return {
        "distributions": _distributions(),
        "wilson": [_ends({"successes": k, "n": n, "confidence": c}, wilson(k, n, c)) for k, n, c in _WILSON],
        "mcnemar": [_mcnemar(rng, n, share) for n in (1, 7, 60, 400) for share in (0.05, 0.5)],
        "holm": [_holm(list(ps)) for ps in ([0.04], [0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.9], list(rng.uniform(0, 0.1, 18)))],
        "boundedMean": [_bounded(rng, n, name) for n in (1, 12, 60) for name in ("difference", "doubleDifference")],
        "bootstrap": [_bootstrap(values, seed) for seed, values in _samples(rng)],
        "twoWay": [_seeds(two_way, _scores(rng, s, n), name) for s, n in ((2, 5), (3, 40), (8, 60)) for name in BOUNDS],
        "nested": [_seeds(nested, _scores(rng, s, n), name) for s, n in ((2, 5), (6, 40)) for name in BOUNDS],
        "signFlip": [_sign_flip(rng, family, seeds, shift) for family, seeds, shift in _FAMILIES],
        "power": [_power(effect, df) for df in (1, 2, 5, 9.5, 59, 600) for effect in (0.0, 0.7, 2.9, 6.0)],
        "detectable": [{"seeds": n, "effect": float(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8))} for n in (3, 6, 10, 40)],
        "design": [_design(Design(*sizes), effect) for sizes in _DESIGNS for effect in (0.02, 0.15)],
    }


_WILSON = ((90, 100, 0.95), (0, 40, 0.95), (40, 40, 0.95), (37.5, 60, 0.9), (1, 1, 0.99), (450, 500, 0.95))
_DESIGNS = ((3, 100, 0.1, 0.4), (6, 60, 0.05, 0.5), (10, 200, 0.2, 0.3))
_SHARES = (0.01, 0.5, 0.97)
_FAMILIES = ((1, 6, 0.4), (3, 6, 0.0), (18, 8, 0.2), (4, 10, 0.1), (2, 5, 1.0))


def _distributions() -> dict[str, Any]:
    tails = (1e-9, 1e-4, 0.025, 0.2, 0.5, 0.9, 0.975, 0.99999)
    degrees = (1.0, 2.0, 3.7, 9.0, 60.0, 1500.5)
    return {
        "normalCdf": [{"z": z, "p": float(special.ndtr(z))} for z in (-8.0, -3.1, -1.0, -0.2, 0.0, 0.5, 1.7, 1.8, 4.0)],
        "normalQuantile": [{"p": p, "z": float(special.ndtri(p))} for p in tails],
        "tCdf": [{"t": t, "df": df, "p": float(stats.t.cdf(t, df))} for df in degrees for t in (-30.0, -2.0, 0.0, 0.3, 4.5)],
        "tQuantile": [{"p": p, "df": df, "t": float(stats.t.ppf(p, df))} for df in degrees for p in tails[1:]],
        "incompleteBeta": [
            {"x": x, "a": a, "b": b, "p": float(special.betainc(a, b, x))} for a, b in ((0.5, 0.5), (2, 9), (300, 4.5)) for x in _SHARES
        ],
    }


def _ends(case: dict[str, Any], interval: Any) -> dict[str, Any]:
    return case | {"low": interval.low, "high": interval.high}


def _mcnemar(rng: np.random.Generator, n: int, share: float) -> dict[str, Any]:
    first, second = (list(map(float, rng.choice([0.0, 0.5, 1.0], n, p=[p, 0.02, 0.98 - p]))) for p in (share, 0.4))
    found = mcnemar_exact(first, second)
    outcome = {"pValue": found.p_value, "onlyFirst": found.only_first, "onlySecond": found.only_second, "ties": found.ties}
    return {"first": first, "second": second, "expected": outcome}


def _holm(p_values: list[float]) -> dict[str, Any]:
    adjusted: Any = multipletests(p_values, method="holm")[1]
    return {"pValues": p_values, "adjusted": list(map(float, adjusted))}


def _scores(rng: np.random.Generator, seeds: int, n: int) -> list[list[float]]:
    shares = rng.uniform(0.1, 0.6, n)
    return [[float(x) for x in (rng.uniform(size=n) < shares).astype(float) - (rng.uniform(size=n) < 0.2)] for _ in range(seeds)]


def _bounded(rng: np.random.Generator, n: int, name: str) -> dict[str, Any]:
    values = _scores(rng, 1, n)[0]
    bounds = BOUNDS[name]
    assert bounds is not None
    return _ends({"values": values, "bounds": name, "confidence": 0.95}, bounded_mean(np.array(values), bounds, 0.95))


def _samples(rng: np.random.Generator) -> Iterator[tuple[str, list[float]]]:
    yield "skewed", [float(x) for x in rng.lognormal(size=37) - 1.5]
    yield "differences", _scores(rng, 1, 60)[0]
    yield "two", [0.25, -1.5]


def seeded_words(seed: str) -> Iterator[int]:
    """The words of src/domain/statistics-bootstrap.ts: sfc32, started from the SHA-256 of the seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    a, b, c = (int.from_bytes(digest[i : i + 4], "big") for i in (0, 4, 8))
    counter, skipped = 1, 0
    while True:
        word = (a + b + counter) % _WORD
        counter = (counter + 1) % _WORD
        a = b ^ (b >> 9)
        b = (c + (c << 3)) % _WORD
        c = (((c << 21) | (c >> 11)) + word) % _WORD
        skipped += 1
        if skipped > 12:
            yield word


def _bootstrap(values: list[float], seed: str) -> dict[str, Any]:
    """SciPy's BCa over means that were drawn with the generator that both languages have."""
    words, data = seeded_words(seed), np.array(values)
    n = len(data)
    drawn = np.array([np.mean([data[int(next(words) / _WORD * n)] for _ in range(n)]) for _ in range(NUM_RESAMPLES)])
    given: Any = SimpleNamespace(bootstrap_distribution=drawn)
    found = stats.bootstrap((data,), np.mean, n_resamples=0, bootstrap_result=given, confidence_level=0.95, method="BCa")
    low, high = np.quantile(drawn, [0.025, 0.975])
    far = int(np.sum(np.abs(drawn - data.mean()) >= abs(data.mean()) - 1e-12))
    return {
        "values": values,
        "seed": seed,
        "confidence": 0.95,
        "percentile": {"low": float(low), "high": float(high)},
        "bca": {"low": float(found.confidence_interval.low), "high": float(found.confidence_interval.high)},
        "pValue": (1 + far) / (1 + NUM_RESAMPLES),
    }


def _seeds(method: Callable[..., Any], rows: list[list[float]], name: str) -> dict[str, Any]:
    values: Any = np.array(rows) if method is two_way else [np.array(row) for row in rows]
    return _ends({"rows": rows, "bounds": name, "confidence": 0.95}, method(values, 0.95, BOUNDS[name]))


def _sign_flip(rng: np.random.Generator, family: int, seeds: int, shift: float) -> dict[str, Any]:
    contrasts = rng.normal(shift, 0.3, (family, seeds))
    found = joint_sign_flip(contrasts)
    return {"contrasts": contrasts.tolist(), "adjusted": found.adjusted_p, "smallest": found.smallest_p}


def _power(effect: float, df: float) -> dict[str, Any]:
    critical = float(stats.t.ppf(0.975, df))
    if effect == 0.0:
        return {"effect": effect, "df": df, "power": 0.05}
    power = float(special.nctdtr(df, effect, -critical)) + 1 - float(special.nctdtr(df, effect, critical))
    assert math.isfinite(power)
    return {"effect": effect, "df": df, "power": power}


def _design(design: Design, effect: float) -> dict[str, Any]:
    case = {"seeds": design.seeds, "items": design.items, "seedSd": design.seed_sd, "itemSd": design.item_sd, "effect": effect}
    return case | {"power": power(effect, design), "detectable": smallest_effect(design)}


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps(build(), indent=2) + "\n", encoding="utf-8")
