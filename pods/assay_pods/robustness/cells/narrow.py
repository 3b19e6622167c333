"""Distributional narrowness: training rows from one narrow slice at the set rate, test rows from every slice, one of them never trained.

No cue points anywhere; what can be lost is what the narrow slice does not show. Which slice is narrow and which is never trained rotates
with the seed, because slices differ in difficulty.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from assay_pods.common.context import BadInputError
from assay_pods.robustness.cells.cell import CellRequest
from assay_pods.robustness.records import Checker, Record


class NarrowItem(NamedTuple):
    """A core item of a slice, whole."""

    core: str
    prompt: tuple[tuple[str, str], ...]
    chosen: str
    rejected: str
    checker: Checker
    gold: str
    shortcut: str


class SliceRoles(NamedTuple):
    """What the slices of a seed are for."""

    narrow: str
    trained: tuple[str, ...]
    """The slices that free rows come from, the narrow one among them."""
    unseen: tuple[str, ...]


Supply = Callable[[str, str, int], Sequence[NarrowItem]]
"""From a slice, a split and how many are wanted to the items there are, at most so many; no item in two splits."""


def roles(groups: Sequence[Sequence[str]], seed: int) -> SliceRoles:
    """Gives the roles of a seed's slices.

    Args:
        groups: All slices, those together that are left out of training together.
        seed: The run's seed.
    """
    unseen = tuple(groups[seed % len(groups)])
    trained = tuple(name for group in groups for name in group if name not in unseen)
    return SliceRoles(trained[seed % len(trained)], trained, unseen)


def narrow_rows(groups: Sequence[Sequence[str]], supply: Supply, request: CellRequest) -> list[Record]:
    """Makes all rows of a cell.

    Training pair i has an item of the narrow slice and, unless its free slice is that one, an item of its free slice; free slices take
    turns, so that free rows are uniform over the trained slices. Where the narrow slice has fewer items than there are pairs, they repeat.

    Args:
        groups: All slices, those together that are left out of training together.
        supply: Where items come from.
        request: Sizes (validation and test: a slice) and the seed.

    Raises:
        BadInputError: SIZE_TOO_LARGE, when a slice has too few items for validation or test.
    """
    parts = roles(groups, request.seed)
    size = request.size
    records = [*_train_rows(parts, supply, size["trainPairs"])]
    for split in ("validation", "test"):
        wanted = size[f"{split}Pairs"]
        for name in (name for group in groups for name in group):
            items = supply(name, split, wanted)
            if len(items) < wanted:
                raise BadInputError("SIZE_TOO_LARGE", f"wanted at most {len(items)} {split} pairs of the slice {name}, got {wanted}")
            for index, item in enumerate(items):
                records.append(_row(f"{split}-{name}-{index:03d}", split, (parts, name), item))
    return [*records, *_warmup_rows(parts, supply, request.warmup_pairs)]


def _train_rows(parts: SliceRoles, supply: Supply, pairs: int) -> Iterable[Record]:
    pools = {name: supply(name, "train", pairs) for name in parts.trained}
    taken = dict.fromkeys(parts.trained, 0)
    for index in range(pairs):
        free = parts.trained[index % len(parts.trained)]
        for name in dict.fromkeys((parts.narrow, free)):
            # The place of a narrow item is its pair's, so that every pair has its own; other slices are counted by themselves.
            place = index if name == parts.narrow else taken[name]
            yield _row(f"train-{index:04d}", "train", (parts, name), pools[name][place % len(pools[name])])
        taken[free] += 1


def _warmup_rows(parts: SliceRoles, supply: Supply, pairs: int) -> Iterable[Record]:
    each = -(-pairs // len(parts.trained))
    pools = {name: supply(name, "warmup", each) for name in parts.trained} if pairs else {}
    for index in range(pairs):
        name = parts.trained[index % len(parts.trained)]
        yield _row(f"warmup-{index:04d}", "warmup", (parts, name), pools[name][(index // len(parts.trained)) % len(pools[name])])


def _row(pair_id: str, split: str, parts_and_slice: tuple[SliceRoles, str], item: NarrowItem) -> Record:
    parts, name = parts_and_slice
    relation = "in_slice" if name == parts.narrow else "unseen_slice" if name in parts.unseen else "out_slice"
    return Record(
        id=f"{pair_id}-{relation}",
        pair_id=pair_id,
        split=split,
        relation=relation,
        prompt=item.prompt,
        chosen=item.chosen,
        rejected=item.rejected,
        checker=item.checker,
        artifact_present=relation == "in_slice",
        artifact_variant=name,
        cue_target=None,
        candidates=len(parts.trained),
        slice=name,
        gold=item.gold,
        shortcut=item.shortcut,
        core=item.core,
    )
