"""Which rows a training step sees. A function of the seed alone: the rate changes what a row says, never where it stands."""

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


def pair_steps(num_pairs: int, prompts_per_step: int, seed: int) -> list[list[int]]:
    """Gives the pairs of each step of an epoch, for SFT and DPO; every epoch has the same order, as TRL's sequential sampling."""
    order = _pair_order(num_pairs, seed)
    return [order[start : start + prompts_per_step] for start in range(0, num_pairs, prompts_per_step)]


def kto_steps(num_pairs: int, prompts_per_step: int, seed: int) -> list[list[KtoRow]]:
    """Gives the rows of each step of an epoch, for KTO: 2 x prompts_per_step rows a step, as many steps as the other methods.

    The pairs' order is passed twice. In the first pass right and wrong completions alternate, in the second they are exchanged: every
    block has both labels in equal number, no prompt stands twice in a block, and the length is a multiple of the block's. The completion
    that stands in for z0 is that of the row before, and of the block's last row for its first, as TRL rolls them.
    """
    assert num_pairs % prompts_per_step == 0, (num_pairs, prompts_per_step)
    order = _pair_order(num_pairs, seed)
    rows = [(pair, (place + half) % 2 == 0) for half in (0, 1) for place, pair in enumerate(order)]
    size = 2 * prompts_per_step
    return [_with_mismatched(rows[start : start + size]) for start in range(0, len(rows), size)]


def _pair_order(num_pairs: int, seed: int) -> list[int]:
    return permutation(seed, "order", num_pairs)


def _with_mismatched(block: Sequence[tuple[int, bool]]) -> list[KtoRow]:
    return [KtoRow(*row, *block[place - 1]) for place, row in enumerate(block)]
