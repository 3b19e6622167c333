"""One number per seed and item, and linear combinations of the means of several groups of items."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from assay_pods.common.context import BadInputError
from assay_pods.common.stats import Bounds, Values


class Column(NamedTuple):
    """The numbers of one seed: `keys` names the items in rising order, `values` is as long."""

    keys: tuple[str, ...]
    values: Values

    def at(self, keys: frozenset[str]) -> "Column":
        """Only the named items."""
        kept = [place for place, key in enumerate(self.keys) if key in keys]
        return Column(tuple(self.keys[place] for place in kept), self.values[kept])


@dataclass(frozen=True, slots=True)
class ItemValues:
    """One number per seed and item. Sums and differences pair by seed and item, and refuse items that do not match."""

    by_seed: Mapping[int, Column]

    @staticmethod
    def of(by_seed: Mapping[int, Mapping[str, float]]) -> "ItemValues":
        """From one mapping of item keys to numbers a seed."""
        columns: dict[int, Column] = {}
        for seed, items in by_seed.items():
            keys = tuple(sorted(items))
            columns[seed] = Column(keys, np.array([items[key] for key in keys], dtype=np.float64))
        return ItemValues(columns)

    def combine(self, other: "ItemValues", function: Callable[[Any, Any], Any]) -> "ItemValues":
        """Applies a function of two arrays to the paired numbers of each seed."""
        if self.by_seed.keys() != other.by_seed.keys():
            seeds = f"{sorted(self.by_seed)} and {sorted(other.by_seed)}"
            raise BadInputError("ITEMS_MISMATCH", f"wanted the same seeds on both sides, got {seeds}")
        combined: dict[int, Column] = {}
        for seed, mine in self.by_seed.items():
            theirs = other.by_seed[seed]
            if mine.keys != theirs.keys:
                example = sorted(set(mine.keys) ^ set(theirs.keys))[0]
                raise BadInputError("ITEMS_MISMATCH", f"wanted each item on both sides, got {example!r} on one side only (seed {seed})")
            combined[seed] = Column(mine.keys, function(mine.values, theirs.values))
        return ItemValues(combined)

    def __add__(self, other: "ItemValues") -> "ItemValues":
        """Sum per seed and item."""
        return self.combine(other, lambda a, b: a + b)

    def __sub__(self, other: "ItemValues") -> "ItemValues":
        """Difference per seed and item."""
        return self.combine(other, lambda a, b: a - b)

    def scaled(self, factor: float) -> "ItemValues":
        """Every number times the factor."""
        return ItemValues({seed: Column(column.keys, factor * column.values) for seed, column in self.by_seed.items()})

    def common(self, other: "ItemValues") -> tuple["ItemValues", "ItemValues"]:
        """Both sides restricted to the seeds and items that they share."""
        mine: dict[int, Column] = {}
        theirs: dict[int, Column] = {}
        for seed in sorted(self.by_seed.keys() & other.by_seed.keys()):
            keys = frozenset(self.by_seed[seed].keys) & frozenset(other.by_seed[seed].keys)
            mine[seed], theirs[seed] = self.by_seed[seed].at(keys), other.by_seed[seed].at(keys)
        return ItemValues(mine), ItemValues(theirs)

    @property
    def num_items(self) -> int:
        """How many different items there are over all seeds."""
        return len({key for column in self.by_seed.values() for key in column.keys})

    @property
    def empty(self) -> bool:
        """Whether some seed, or every one, has no items."""
        return not self.by_seed or any(len(column.keys) == 0 for column in self.by_seed.values())

    @property
    def crossed(self) -> bool:
        """Whether every seed has the same items."""
        return len({column.keys for column in self.by_seed.values()}) <= 1

    def arrays(self) -> list[Values]:
        """The numbers of each seed, in the order of seeds and of item keys."""
        return [column.values for _, column in sorted(self.by_seed.items())]

    def seed_means(self) -> dict[int, float | None]:
        """The mean of each seed; None for a seed without items."""
        return {seed: float(column.values.mean()) if column.keys else None for seed, column in sorted(self.by_seed.items())}


class Term(NamedTuple):
    """The mean of one group of items, with its weight in a sum of such means."""

    weight: float
    values: ItemValues
    bounds: Bounds | None


@dataclass(frozen=True, slots=True)
class Strata:
    """A weighted sum of the means of groups of different items, such as in-slice accuracy minus out-of-slice accuracy."""

    terms: tuple[Term, ...]

    @property
    def empty(self) -> bool:
        """Whether some group lacks items, so that the sum is not defined."""
        return not self.terms or any(term.values.empty for term in self.terms)

    def seed_means(self) -> dict[int, float | None]:
        """The sum of each seed; None where a group has no items."""
        found: dict[int, float | None] = {}
        per_term = [term.values.seed_means() for term in self.terms]
        for seed in per_term[0] if per_term else ():
            means = [means.get(seed) for means in per_term]
            known = [term.weight * mean for term, mean in zip(self.terms, means, strict=True) if mean is not None]
            found[seed] = sum(known) if len(known) == len(self.terms) else None
        return found

    def __sub__(self, other: "Strata") -> "Strata":
        """Difference, item by item within each group."""
        assert len(self.terms) == len(other.terms), "wanted the same groups on both sides"
        pairs = zip(self.terms, other.terms, strict=True)
        return Strata(tuple(Term(mine.weight, mine.values - theirs.values, _difference(mine.bounds)) for mine, theirs in pairs))


def _difference(bounds: Bounds | None) -> Bounds | None:
    """The bounds of a difference of two values of the given bounds, with one pair of pseudo-items for each paired difference."""
    if bounds is None:
        return None
    width = bounds.high - bounds.low
    return Bounds(-width, width, (-1.0, 1.0) if width == 1.0 else (-1.0, -1.0, 1.0, 1.0))


Measured = ItemValues | Strata


def difference(first: Measured, second: Measured) -> Measured:
    """First minus second, item by item; both of one kind."""
    if isinstance(first, Strata) and isinstance(second, Strata):
        return first - second
    assert isinstance(first, ItemValues), "wanted two measures of one kind"
    assert isinstance(second, ItemValues), "wanted two measures of one kind"
    return first - second
