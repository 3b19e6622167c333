"""Which rows a training step sees. A function of the seed alone: the rate changes what a row says, never where it stands."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation


class KtoRow(NamedTuple):
    """One unpaired row: a pair's place, whether its right completion is shown, and the row whose completion stands in for z0."""

    pair: int
    desirable: bool
    mismatched_pair: int
    mismatched_desirable: bool


def usable_pairs(num_pairs: int, prompts_per_step: int) -> int:
    """Gives how many pairs an epoch uses: whole steps only.

    Raises:
        BadInputError: TRAIN_TOO_SMALL, when a KTO block of 2 x prompts_per_step rows could not hold distinct prompts.
    """
    if num_pairs < 2 * prompts_per_step:
        raise BadInputError(
            "TRAIN_TOO_SMALL", f"wanted at least {2 * prompts_per_step} training pairs (twice the prompts of a step), got {num_pairs}"
        )
    return num_pairs - num_pairs % prompts_per_step


def pair_order(num_pairs: int, seed: int) -> list[int]:
    """Gives the order in which every epoch passes the pairs, as TRL's sequential sampling does."""
    return permutation(seed, "order", num_pairs)


def row_order(keys: Sequence[str], seed: int) -> list[int]:
    """Gives the order in which every epoch passes rows of which some come again: that of `pair_order` where none does.

    The different rows pass in a seeded order, round after round; those that come once more than the others lead each round. So a row
    stands as far from itself as there are different rows.

    Args:
        keys: The item of each row; items come equally often, or some once more.
        seed: The run's seed.
    """
    counts, rounds = Counter(keys), Counter[str]()
    different = list(counts)
    turn = {different[place]: rank for rank, place in enumerate(pair_order(len(different), seed))}
    most = max(counts.values(), default=0)
    seats: list[tuple[int, bool, int]] = []
    for key in keys:
        seats.append((rounds[key], counts[key] < most, turn[key]))
        rounds[key] += 1
    return sorted(range(len(keys)), key=seats.__getitem__)


def pair_steps(num_pairs: int, prompts_per_step: int, seed: int) -> list[list[int]]:
    """Gives the pairs of each step of an epoch, for SFT and DPO."""
    return in_steps(pair_order(num_pairs, seed), prompts_per_step)


def in_steps(places: Sequence[int], size: int) -> list[list[int]]:
    """Cuts an order into steps of so many places each."""
    return [list(places[start : start + size]) for start in range(0, len(places), size)]


def kto_steps(num_pairs: int, prompts_per_step: int, seed: int) -> list[list[KtoRow]]:
    """Gives the rows of each step of an epoch, for KTO: 2 x prompts_per_step rows a step, as many steps as the other methods."""
    return kto_blocks(pair_order(num_pairs, seed), prompts_per_step)


def kto_blocks(places: Sequence[int], prompts_per_step: int, run: int = 1, keys: Sequence[str] | None = None) -> list[list[KtoRow]]:
    """Lays an order of pairs out as KTO's blocks.

    The order is passed twice. In the first pass right and wrong completions alternate, in the second they are exchanged: every block has
    both labels, no prompt stands twice in a block, and the length is a multiple of the block's. The completion that stands in for z0 is
    that of the row before, and of the block's last row for its first, as TRL rolls them.

    Args:
        places: The pairs in the order of an epoch, whole steps.
        prompts_per_step: Half of a block's rows.
        run: How many neighbours share a label: 2 where neighbours are of two groups in turn, so that no group has one label only.
        keys: The item of each pair, where items come again: then a block is rearranged so that no item stands beside itself, if it can be.
    """
    assert len(places) % prompts_per_step == 0, (len(places), prompts_per_step)
    rows = [(pair, (place // run + half) % 2 == 0) for half in (0, 1) for place, pair in enumerate(places)]
    size = 2 * prompts_per_step
    blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
    if keys is not None:
        blocks = [[block[place] for place in apart([keys[pair] for pair, _ in block])] for block in blocks]
    return [_with_mismatched(block) for block in blocks]


def apart(keys: Sequence[str]) -> list[int]:
    """Gives an order of a block in which no row has the key of the row before, nor the first that of the last.

    There is one unless a key has more than half of the rows. A block without such neighbours stays as it is.
    """
    if all(key != keys[place - 1] for place, key in enumerate(keys)):
        return list(range(len(keys)))
    counts = Counter(keys)
    by_count = sorted(range(len(keys)), key=lambda place: (-counts[keys[place]], keys.index(keys[place])))
    seats = [*range(0, len(keys), 2), *range(1, len(keys), 2)]
    return [place for _, place in sorted(zip(seats, by_count, strict=True))]


def _with_mismatched(block: Sequence[tuple[int, bool]]) -> list[KtoRow]:
    return [KtoRow(*row, *block[place - 1]) for place, row in enumerate(block)]
